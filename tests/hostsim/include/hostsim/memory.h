// memory.h: device and shared memory, what may be done to them, and the copies under way.
#pragma once

#include <cstddef>

namespace hostsim {

// Memory of a device: bytes 0xff (NaN), a gap behind it that belongs to nobody.
void* allocate(std::size_t bytes, int device);
bool release(void* address);

// The one object of a block that a declaration stands for; `tag` is the declaration.
void* shared_variable(const void* tag, std::size_t bytes, std::size_t alignment);

// Judges one access of the running thread (check mode; nothing in plain mode).
void access(const void* address, std::size_t bytes, bool writes, bool atomic, const void* code,
            std::size_t alignment = 1);

void copy_async(void* to, const void* from, std::size_t bytes, std::size_t zeros);
void commit_copies();
void wait_for_copies(unsigned pending);

template <class T>
using Identity = T;

template <class T>
T& shared_object(const void* tag, std::size_t alignment) {
    return *static_cast<T*>(
        shared_variable(tag, sizeof(T), alignment > alignof(T) ? alignment : alignof(T)));
}

}  // namespace hostsim
