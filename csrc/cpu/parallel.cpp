#include "cpu/parallel.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace sacfast {

std::size_t workers(std::int64_t tasks, int threads) {
    return static_cast<std::size_t>(
        std::max<std::int64_t>(1, std::min<std::int64_t>(threads, tasks)));
}

std::int64_t items_per_task(std::int64_t count, double cost, int threads) {
    if (threads == 1) return count;
    return std::max<std::int64_t>(1, static_cast<std::int64_t>(task_cost / cost));
}

void parallel_for(std::int64_t tasks, int threads, const std::function<void(std::int64_t)>& body) {
    parallel_for(tasks, threads, [&body](std::int64_t task, std::size_t) { body(task); });
}

void parallel_for(std::int64_t tasks, int threads,
                  const std::function<void(std::int64_t, std::size_t)>& body) {
    std::atomic<std::int64_t> next{0};
    std::exception_ptr failure;
    std::mutex failure_mutex;
    auto work = [&](std::size_t worker) {
        for (std::int64_t task = next++; task < tasks; task = next++) {
            try {
                body(task, worker);
            } catch (...) {
                const std::lock_guard<std::mutex> lock(failure_mutex);
                if (!failure) failure = std::current_exception();
                next = tasks;
            }
        }
    };

    const std::size_t all = workers(tasks, threads);
    std::vector<std::thread> pool;
    pool.reserve(all - 1);
    for (std::size_t worker = 1; worker < all; ++worker) {
        try {
            pool.emplace_back(work, worker);
        } catch (...) {
            break;  // no thread or no memory for one more: those that run do all the tasks
        }
    }
    work(0);
    for (std::thread& thread : pool) thread.join();
    if (failure) std::rethrow_exception(failure);
}

}  // namespace sacfast
