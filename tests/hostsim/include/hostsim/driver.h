// driver.h: for programs that try kernels out (build.py --driver).
#pragma once

#include <cstdio>
#include <cstring>
#include <vector>

#include "cuda_runtime.h"

extern "C" {
void hostsim_configure(unsigned long long seed, unsigned preempt);
void* hostsim_allocate(std::size_t bytes, int device);
int hostsim_free(void* address);
void hostsim_upload(void* to, const void* from, std::size_t bytes);
const char* hostsim_findings();
void hostsim_reset();
}

namespace hostsim {

template <class T>
T* upload(const std::vector<T>& values) {
    T* at = static_cast<T*>(hostsim_allocate(values.size() * sizeof(T), 0));
    hostsim_upload(at, values.data(), values.size() * sizeof(T));
    return at;
}

template <class T>
T* device_array(std::size_t size) {  // NaN, and "never written"
    return static_cast<T*>(hostsim_allocate(size * sizeof(T), 0));
}

template <class T>
std::vector<T> download(const T* at, std::size_t size) {
    std::vector<T> values(size);
    std::memcpy(static_cast<void*>(values.data()), at, size * sizeof(T));
    return values;
}

// Prints the findings and says whether there were any.
inline bool objections() {
    const char* text = hostsim_findings();
    std::fputs(text, stderr);
    return *text != '\0';
}

}  // namespace hostsim
