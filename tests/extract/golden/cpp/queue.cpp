#include "queue.hpp"

namespace {

/*!
 * Counts the jobs that are done.
 */
template <>
int Counter<int>::count() const&
try {
    return done_ + failed_;
} catch (...) {
    return -1;
}

}  // namespace

//! Returns the name of the queue.
const std::string& work::Queue::name() const { return names_.at(id_); }

/** Starts the threads of the queue. */
extern "C" void queue_start(int threads) {
    // Not documentation: it stands inside.
    auto run = [threads] { return threads + 1; };
    launch(run);
}
