"""Where code comes from: every source as slices and the records in them."""
