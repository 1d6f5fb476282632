package shop;

/** A cart; a class comment belongs to no method. */
public class Cart {
    private int total; /** trailing, never a method's */
    int items;

    /**
     * Adds a price to the cart.
     *
     * @param price in cents
     */
    // NOTE: called from the scanner thread
    @Override
    public synchronized int add(int price) {
        total += price;
        return total;
    }

    /* A plain comment is no Javadoc. */
    public int total() {
        return total;
    }

    /** Builds an empty cart. */
    public Cart() {
        clear();
    }

    /** Detached by a blank line. */

    void clear() {
        total = 0;
    }

    /** Abstract methods have no body. */
    interface Listener {
        /** Called after a change. */
        void changed(int total);

        /** Called by default. */
        default void opened() {
            changed(0);
        }
    }

    Runnable task() {
        return new Runnable() {
            /** Runs inside. */
            public void run() {
                clear();
            }
        };
    }
}
