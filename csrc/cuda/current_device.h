// current_device.h: one device made current for one call, and the caller's again after it.
#pragma once

#include "cuda/launch.h"

namespace sacfast::cuda {

class CurrentDevice {
  public:
    // Throws std::runtime_error where there is no such device, it can't be used, or the stream is
    // another's (as far as the driver tells).
    CurrentDevice(int device, void* stream);
    ~CurrentDevice();
    CurrentDevice(const CurrentDevice&) = delete;
    CurrentDevice& operator=(const CurrentDevice&) = delete;

    Stream stream() const { return stream_; }

  private:
    void restore();

    int before_ = 0;
    bool changed_ = false;
    Stream stream_;
};

}  // namespace sacfast::cuda
