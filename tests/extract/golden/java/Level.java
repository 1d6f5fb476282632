enum Level {
    LOW {
        /** Cost of the low level. */
        @Override int cost() { return 1; }
    };

    abstract int cost();

    /**
     Without leading stars.
     Second line.
     */
    public static Level of(String name) {
        return valueOf(name.trim());
    }
}
