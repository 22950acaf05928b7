// scheduler.cpp: fibers, barriers, and the order in which everything runs.

#include "hostsim/scheduler.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <numeric>
#include <stdexcept>

#include "cuda_runtime_api.h"
#include "settings.h"

#if !defined(__x86_64__)
#error "the simulator switches fibers by x86-64 code; write hostsim_switch for this processor"
#endif

// Stores the registers that a call preserves and the stack pointer, and takes up another fiber's.
extern "C" void hostsim_switch(void** save, void* to);
asm(R"(
.globl hostsim_switch
.hidden hostsim_switch
hostsim_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
)");

namespace hostsim {

Coordinates here;
BlockView block;
Settings settings;

namespace {

enum class State { ready, at_block_barrier, at_warp_meeting, ended };

struct Fiber : ThreadView {
    void* stack_pointer;
    uint3 coordinates;
    State state;
    Site site;
    bool vote;
    const char* operation;  // of a warp meeting
    const void* in;
    void* out;
};

std::vector<Fiber> fibers;
unsigned waiting, ended;
Votes votes;
Fiber* current;
void* scheduler_stack;
bool abandoned;
std::uint64_t random_state;
void (*thread_body)(const void*);
const void* thread_call;

void to_scheduler() { hostsim_switch(&current->stack_pointer, scheduler_stack); }

void thread_entry() {
    thread_body(thread_call);
    end_thread_memory();
    current->state = State::ended;
    ++ended;
    to_scheduler();
    __builtin_unreachable();
}

char* stack_of(unsigned thread) {
    constexpr std::size_t guard = 4096;
    static char* stacks = nullptr;
    if (stacks == nullptr) {
        constexpr std::size_t bytes = 1024 * (stack_bytes + guard);
        void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (at == MAP_FAILED) throw std::bad_alloc();
        stacks = static_cast<char*>(at);
        for (std::size_t i = 0; i < 1024; ++i) {
            mprotect(stacks + i * (stack_bytes + guard), guard, PROT_NONE);
        }
    }
    return stacks + thread * (stack_bytes + guard) + guard;
}

void prepare(Fiber& fiber, unsigned index) {
    fiber.index = index;
    fiber.warp_epoch = 0;
    fiber.stack = stack_of(index);
    fiber.groups.clear();
    fiber.open.clear();
    fiber.coordinates = {index % here.threads.x, index / here.threads.x % here.threads.y,
                         index / here.threads.x / here.threads.y};
    fiber.state = State::ready;
    // As if thread_entry had been called: six registers, its address, and no way back.
    void** top = reinterpret_cast<void**>(const_cast<char*>(fiber.stack) + stack_bytes - 64);
    *--top = nullptr;
    *--top = reinterpret_cast<void*>(&thread_entry);
    for (int i = 0; i < 6; ++i) *--top = nullptr;
    fiber.stack_pointer = top;
}

std::string describe(const Fiber& fiber) {
    const bool in_warp = fiber.state == State::at_warp_meeting;
    return "thread " + std::to_string(fiber.index) + " at " +
           (in_warp ? fiber.operation : "__syncthreads") + " (" + fiber.site.file + ":" +
           std::to_string(fiber.site.line) + ")";
}

bool same(const Site& a, const Site& b) { return a.line == b.line && !strcmp(a.file, b.file); }

// Lets everybody go on once all threads that have not ended are at the barrier.
void release_block() {
    if (waiting == 0 || waiting + ended < fibers.size()) return;
    const Fiber* first = nullptr;
    votes = {0, 1, 0};
    for (const Fiber& fiber : fibers) {
        if (fiber.state != State::at_block_barrier) continue;
        if (first == nullptr) first = &fiber;
        if (!same(fiber.site, first->site)) {
            report("divergent barrier: " + describe(*first) + ", " + describe(fiber));
        }
        votes.count += fiber.vote;
        votes.all &= fiber.vote;
        votes.any |= fiber.vote;
    }
    if (ended > 0)
        report("threads have ended before a barrier that others reach: " + describe(*first));
    ++block.epoch;
    waiting = 0;
    for (Fiber& fiber : fibers) {
        if (fiber.state == State::at_block_barrier) fiber.state = State::ready;
    }
}

void report_deadlock() {
    std::string what = "deadlock:";
    int named = 0;
    Site last{"", 0};
    for (const Fiber& fiber : fibers) {
        if (fiber.state == State::ended || same(fiber.site, last) || named == 4) continue;
        what += (named++ == 0 ? " " : ", ") + describe(fiber);
        last = fiber.site;
    }
    if (ended > 0) what += ", " + std::to_string(ended) + " threads have ended";
    report(what);
    abandoned = true;
}

void shuffle(std::vector<unsigned>& order) {
    if (settings.seed < 2) return;
    for (std::size_t i = order.size(); i > 1; --i)
        std::swap(order[i - 1], order[random_bits() % i]);
}

std::vector<unsigned> numbers(std::size_t count) {
    std::vector<unsigned> order(count);
    std::iota(order.begin(), order.end(), 0u);
    if (settings.seed == 1) std::reverse(order.begin(), order.end());
    return order;
}

void run_block() {
    begin_block_memory();
    waiting = ended = 0;
    for (unsigned i = 0; i < fibers.size(); ++i) prepare(fibers[i], i);
    std::vector<unsigned> order = numbers(fibers.size());
    while (ended < fibers.size() && !abandoned) {
        shuffle(order);
        bool any = false;
        for (const unsigned i : order) {
            if (fibers[i].state != State::ready) continue;
            any = true;
            current = &fibers[i];
            here.thread = current->coordinates;
            hostsim_switch(&scheduler_stack, current->stack_pointer);
            current = nullptr;
            if (abandoned) break;
        }
        release_block();
        if (!any && ended < fibers.size()) {
            if (std::none_of(fibers.begin(), fibers.end(),
                             [](const Fiber& f) { return f.state == State::ready; })) {
                report_deadlock();
            }
        }
    }
}

}  // namespace

std::uint64_t random_bits() {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

ThreadView* running() { return current; }

int lane() { return static_cast<int>(current->index % 32); }

void check_threads(unsigned most) {
    if (fibers.size() > most) abandon("a launch of more threads than its kernel's launch bounds");
}

std::string where() {
    if (current == nullptr) return "the host";
    return "thread " + std::to_string(current->index) + " of block " + std::to_string(here.block.x);
}

void maybe_preempt() {
    if (settings.preempt != 0 && random_bits() % settings.preempt == 0) to_scheduler();
}

void abandon(const char* what) {
    if (current == nullptr) throw std::logic_error(std::string("hostsim: ") + what);
    report(what);
    abandoned = true;
    to_scheduler();
    __builtin_unreachable();
}

Votes synchronise_block(Site site, bool vote) {
    current->state = State::at_block_barrier;
    current->site = site;
    current->vote = vote;
    ++waiting;
    to_scheduler();
    return votes;
}

void synchronise_warp(unsigned mask, const char* operation, Site site, const void* in, void* out,
                      std::size_t bytes, bool orders) {
    if (mask != 0xffffffffu) abandon("not simulated: a warp operation without all of its lanes");
    Fiber* const me = current;
    me->state = State::at_warp_meeting;
    me->site = site;
    me->operation = operation;
    me->in = in;
    me->out = out;
    Fiber* const lanes = &fibers[me->index / 32 * 32];
    if (fibers.size() - me->index / 32 * 32 < 32) {
        abandon("a warp operation in a warp of fewer than 32 threads");
    }
    bool all = true;
    for (int i = 0; i < 32; ++i) {
        if (lanes[i].state == State::ended) {
            report(std::string("lanes have ended before ") + describe(*me));
            abandoned = true;
            all = false;
        } else {
            all = all && lanes[i].state == State::at_warp_meeting && same(lanes[i].site, site);
        }
    }
    if (!all) {
        to_scheduler();
        return;
    }
    for (int i = 0; i < 32; ++i) {
        for (int j = 0; bytes != 0 && j < 32; ++j) {
            std::memcpy(static_cast<char*>(lanes[i].out) + j * bytes, lanes[j].in, bytes);
        }
        if (orders) ++lanes[i].warp_epoch;
    }
    for (int i = 0; i < 32; ++i) lanes[i].state = State::ready;
}

void launch(dim3 blocks, dim3 threads, std::size_t dynamic_bytes, void* stream,
            void (*body)(const void*), const void* call, std::size_t call_bytes) {
    static std::mutex one_at_a_time;
    const std::lock_guard<std::mutex> lock(one_at_a_time);
    const std::uint64_t in_a_block = static_cast<std::uint64_t>(threads.x) * threads.y * threads.z;
    const std::uint64_t in_the_grid = static_cast<std::uint64_t>(blocks.x) * blocks.y * blocks.z;
    if (in_a_block == 0 || in_a_block > 1024 || in_the_grid == 0 || blocks.x > 0x7fffffffu ||
        blocks.y > 65535 || blocks.z > 65535) {
        report("a launch of " + std::to_string(in_the_grid) + " blocks of " +
               std::to_string(in_a_block) + " threads");
        return fail_launch(cudaErrorInvalidConfiguration);
    }
    if (dynamic_bytes != 0)
        throw std::logic_error("hostsim: dynamic shared memory is not simulated");
    const auto* queue = static_cast<const CUstream_st*>(stream);
    if (queue != nullptr && queue->device != current_device()) {
        report("a launch on a stream of device " + std::to_string(queue->device) +
               " while device " + std::to_string(current_device()) + " is current");
        return fail_launch(cudaErrorInvalidResourceHandle);
    }
    here.blocks = blocks;
    here.threads = threads;
    thread_body = body;
    thread_call = call;
    block.launch_first = block.serial + 1;
    block.device = current_device();
    block.call = static_cast<const char*>(call);
    block.call_bytes = call_bytes;
    ++settings.launches;
    abandoned = false;
    random_state = 0x9e3779b97f4a7c15ull * (settings.seed + 1);
    fibers.resize(in_a_block);
    std::vector<unsigned> order = numbers(in_the_grid);
    shuffle(order);
    for (const unsigned i : order) {
        here.block = {i % blocks.x, i / blocks.x % blocks.y, i / blocks.x / blocks.y};
        ++block.serial;
        block.epoch = 0;
        run_block();
        if (abandoned) return fail_launch(cudaErrorLaunchFailure);
    }
}

}  // namespace hostsim
