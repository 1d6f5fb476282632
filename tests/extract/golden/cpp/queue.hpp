#pragma once
#include <vector>

namespace work {

/// A queue of jobs.
template <typename Job>
class Queue : public Base {
public:
    /// Creates a queue for so many jobs.
    explicit Queue(std::size_t size) : jobs_(size), open_(true) { start(); }

    virtual ~Queue() { stop(); join(); }

    /**
     * \brief Takes the next job out of the queue.
     *
     * \param wait whether to wait for one
     */
    [[nodiscard]] Job take(bool wait = true) const override {
        return wait ? wait_for() : jobs_.back();
    }

    /// Compares two queues by their jobs.
    friend bool operator==(const Queue& left, const Queue& right) {
        return left.jobs_ == right.jobs_ && left.open_ == right.open_;
    }

    int size() const { return static_cast<int>(jobs_.size()); }  ///< Number of jobs.
    Queue(const Queue&) = delete;
};

/// Swaps the jobs of two queues.
template <typename Job>
    requires Movable<Job>
void swap(Queue<Job>& left, Queue<Job>& right) noexcept {
    left.swap(right);
    right.touch();
}

}  // namespace work
