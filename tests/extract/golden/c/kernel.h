#ifndef KERNEL_H
#define KERNEL_H

/**
 * ring_push - Adds an entry at the end of the ring
 * @ring: the ring
 * @entry: what is added
 */
static inline bool ring_push(struct ring *ring, void *entry)
{
	ring->slots[ring->last++ & ring->mask] = entry;
	return ring->last != ring->first;
}

/** Declared only: there is no body. */
void ring_free(struct ring *ring);

#endif
