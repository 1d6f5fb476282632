<html>
<?php /** Prints the title. */
function title() {
    echo "Hi";
} ?>
<body><?php
/* plain */
function body() { return '/** not a comment */'; }

/**
 * Counts rows.
 */
# cached
function &rows(array $rows)
{
    return count($rows);
}
?>
</body>
