sealed interface State {
    fun enter()

    /** Leaves the state and tells its listeners. */
    fun leave() {
        listeners.forEach { it.left(this) }
    }

    object Idle : State {
        override fun enter() { println("idle") }

        /** Wakes the state up; not done yet. */
        fun wake(): State = TODO("later")
    }
}
