# Finds nvcc and says in `sacfast_cuda_state` whether _cuda can be built: "built", or why not.
#
# First CMake's own search: CMAKE_CUDA_COMPILER, CUDACXX, PATH. Under SACFAST_CUDA=ON, where that
# finds none that will do, NVIDIA's packages for Python (nvidia-cuda-nvcc and what it needs) in the
# environment that builds: pyproject.toml asks for them where the environment variable
# SACFAST_CUDA=ON is set. Under AUTO they don't count, so that a build takes what the machine has.
# A compiler that can't be used is an error under ON.
set(SACFAST_OLDEST_CUDA 12.1)  # kernels take arguments of up to 32 KB

# Sets `reason` to why the compiler won't do; empty where it will.
function(sacfast_check_nvcc compiler reason)
  execute_process(COMMAND "${compiler}" --version
    OUTPUT_VARIABLE about ERROR_VARIABLE about RESULT_VARIABLE failed)
  if(failed OR NOT about MATCHES "Cuda compilation tools, release ([0-9]+\\.[0-9]+)")
    set(${reason} "${compiler} is not NVIDIA's compiler, or does not run" PARENT_SCOPE)
  elseif(CMAKE_MATCH_1 VERSION_LESS SACFAST_OLDEST_CUDA)
    set(${reason} "CUDA ${SACFAST_OLDEST_CUDA} or newer is needed, found ${CMAKE_MATCH_1}" PARENT_SCOPE)
  else()
    set(${reason} "" PARENT_SCOPE)
  endif()
endfunction()

# Sets `compiler` to the nvcc of NVIDIA's packages for Python; empty where they are not installed.
function(sacfast_find_packaged_nvcc compiler)
  set(search [[
import importlib.util, pathlib
spec = importlib.util.find_spec("nvidia")
for folder in spec.submodule_search_locations if spec else ():
    for nvcc in sorted(pathlib.Path(folder).glob("cu*/bin/nvcc")):
        print(nvcc)
        raise SystemExit
]])
  execute_process(COMMAND "${Python_EXECUTABLE}" -c "${search}"
    OUTPUT_VARIABLE found OUTPUT_STRIP_TRAILING_WHITESPACE)
  set(${compiler} "${found}" PARENT_SCOPE)
endfunction()

include(CheckLanguage)
check_language(CUDA)
set(sacfast_reason "no working CUDA compiler was found")
if(CMAKE_CUDA_COMPILER)
  sacfast_check_nvcc("${CMAKE_CUDA_COMPILER}" sacfast_reason)
endif()
if(sacfast_reason AND SACFAST_CUDA STREQUAL "ON")
  sacfast_find_packaged_nvcc(sacfast_packaged)
  if(sacfast_packaged)
    unset(CMAKE_CUDA_COMPILER CACHE)
    set(CMAKE_CUDA_COMPILER "${sacfast_packaged}")
    sacfast_check_nvcc("${CMAKE_CUDA_COMPILER}" sacfast_reason)
  endif()
endif()

if(NOT sacfast_reason)
  set(sacfast_cuda_state "built")
elseif(SACFAST_CUDA STREQUAL "ON")
  message(FATAL_ERROR
    "SACFAST_CUDA=ON, but ${sacfast_reason}.\n"
    "Put the nvcc of CUDA ${SACFAST_OLDEST_CUDA} or newer on PATH or into CUDACXX; or let pip fetch "
    "NVIDIA's compiler: SACFAST_CUDA=ON pip install .")
else()
  set(sacfast_cuda_state "not built: ${sacfast_reason}")
endif()
