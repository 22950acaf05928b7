// parallel.h: runs numbered tasks on a few threads.
//
// Which thread runs a task is left to chance; what a task computes is not. A kernel cuts its work
// into tasks by the shapes alone and lets each result be made by one task in a fixed order: so the
// bits of a result never depend on the number of threads.
#pragma once

#include <cstdint>
#include <functional>

namespace sacfast {

// Calls body(0) ... body(tasks - 1), each once, on at most `threads` threads (the caller's is one
// of them), and returns when all are done. The first exception that a task throws is thrown again
// here.
void parallel_for(std::int64_t tasks, int threads, const std::function<void(std::int64_t)>& body);

}  // namespace sacfast
