/**
 * @file buffer.c
 * Growing byte buffers.
 */
#include <stdlib.h>

#ifdef DEBUG
#define CHECK(x) abort_unless(x)
#endif

/**
 * Appends @p size bytes to the buffer and grows it where needed.
 *
 * @param buffer  the buffer
 * @return 0, or -1 without memory
 */
int
buffer_append(struct buffer *buffer, const char *bytes, size_t size)
{
    if (buffer->used + size > buffer->room && buffer_grow(buffer, size) < 0)
        return -1;
    memcpy(buffer->data + buffer->used, bytes, size);
    return 0;
}

/*! Returns a copy of the bytes, which the caller frees. */
char *buffer_copy(const struct buffer *buffer) { return memdup(buffer->data, buffer->used); }

/// Finds a row by its key.
/// Behind two pointers.
static inline char **rows_of(struct table *table)
{
    return table->rows + table->first;
}

/* A plain comment documents nothing. */
void buffer_clear(struct buffer *buffer) { buffer->used = 0; buffer->room = 0; }

int used; /**< bytes in use */
void buffer_free(struct buffer *buffer) { free(buffer->data); free(buffer); }
