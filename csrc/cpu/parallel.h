// parallel.h: runs numbered tasks on a few threads.
//
// Which thread runs a task is left to chance; what a task computes is not. A kernel cuts its work
// into tasks by the shapes alone and lets each result be made by one task in a fixed order: so the
// bits of a result never depend on the number of threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

namespace sacfast {

// Calls body(0) ... body(tasks - 1), each once, on at most `threads` threads (the caller's is one
// of them), and returns when all are done. The first exception that a task throws is thrown again
// here.
void parallel_for(std::int64_t tasks, int threads, const std::function<void(std::int64_t)>& body);

// The same with body(task, worker), worker in 0 .. workers(tasks, threads) - 1 and never the same
// for two tasks at one time: what a worker keeps between its tasks (buffers: the first touch of
// fresh memory costs more than most tasks) is one element of a vector of that size.
void parallel_for(std::int64_t tasks, int threads,
                  const std::function<void(std::int64_t, std::size_t)>& body);
std::size_t workers(std::int64_t tasks, int threads);

// Multiply-adds that make a task worth a thread: they take ten times as long as its start.
constexpr double task_cost = 4 << 20;

// How many of `count` items of `cost` multiply-adds each make a task.
std::int64_t items_per_task(std::int64_t count, double cost, int threads);

}  // namespace sacfast
