record Money(long cents) {
    /** Refuses debts. */
    Money {
        if (cents < 0) throw new IllegalArgumentException();
    }

    /**
     * Formats as {@code 1.50}.
     *   Indented detail.
     **/
    @Deprecated(since = "2")
    static <T extends Number> String format(T value) { return value.toString(); }

    /**/ int empty() { return 0; }

    /** one line */ int quick() { return 1; }
}
