// launch.h: kernel<<<blocks, threads, bytes, stream>>>(arguments), as convert.py writes it.
#pragma once

#include <cstddef>
#include <tuple>
#include <type_traits>
#include <utility>

#include "hostsim/scheduler.h"

namespace hostsim {

struct Configuration {
    dim3 blocks, threads;
    std::size_t dynamic_bytes = 0;
    void* stream = nullptr;
};

// The arguments are converted and copied once, as the hardware does.
template <class... Parameters>
struct Call {
    void (*kernel)(Parameters...);
    std::tuple<std::decay_t<Parameters>...> arguments;

    static void run(const void* call) {
        const Call* self = static_cast<const Call*>(call);
        std::apply(self->kernel, self->arguments);
    }
};

template <class... Parameters, class... Arguments>
void launch(const Configuration& configuration, void (*kernel)(Parameters...),
            Arguments&&... arguments) {
    static_assert((sizeof(std::decay_t<Parameters>) + ... + 0) <= 32764,
                  "a kernel takes at most 32764 bytes of arguments");
    const Call<Parameters...> call{kernel, {static_cast<std::decay_t<Parameters>>(arguments)...}};
    launch(configuration.blocks, configuration.threads, configuration.dynamic_bytes,
           configuration.stream, &Call<Parameters...>::run, &call, sizeof call);
}

}  // namespace hostsim
