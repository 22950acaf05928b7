#include "cpu/parallel.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace sacfast {

void parallel_for(std::int64_t tasks, int threads, const std::function<void(std::int64_t)>& body) {
    std::atomic<std::int64_t> next{0};
    std::exception_ptr failure;
    std::mutex failure_mutex;
    auto work = [&] {
        for (std::int64_t task = next++; task < tasks; task = next++) {
            try {
                body(task);
            } catch (...) {
                const std::lock_guard<std::mutex> lock(failure_mutex);
                if (!failure) failure = std::current_exception();
                next = tasks;
            }
        }
    };

    const std::int64_t helpers = std::min<std::int64_t>(threads, tasks) - 1;
    std::vector<std::thread> pool;
    pool.reserve(static_cast<std::size_t>(std::max<std::int64_t>(helpers, 0)));
    for (std::int64_t h = 0; h < helpers; ++h) {
        try {
            pool.emplace_back(work);
        } catch (...) {
            break;  // no thread or no memory for one more: those that run do all the tasks
        }
    }
    work();
    for (std::thread& thread : pool) thread.join();
    if (failure) std::rethrow_exception(failure);
}

}  // namespace sacfast
