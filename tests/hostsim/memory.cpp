// memory.cpp: device and shared memory, and in check mode the judge of every access.
//
// Check mode keeps a record of the last write and of some last reads for every 4-byte word. Two
// accesses of which one writes are a race unless something orders them: the same thread, a
// __syncthreads that both have passed, a __syncwarp for lanes of one warp, or the end of a launch.
// Where threads take turns at the bytes within one word only the last turn is remembered.

#include "hostsim/memory.h"

#include <dlfcn.h>
#include <sys/mman.h>

#include <cstdint>
#include <cstring>
#include <map>
#include <new>

#include "hostsim/scheduler.h"
#include "settings.h"

namespace hostsim {

namespace {

constexpr std::size_t window_bytes = std::size_t{1} << 37;  // of addresses for device memory
constexpr std::size_t gap_bytes = 64 << 10;
constexpr std::size_t canary_bytes = 4096;                    // of the gap, looked at in plain mode
constexpr std::size_t poison_at_most = std::size_t{1} << 29;  // larger allocations start as zeros
constexpr std::size_t shared_limit = 48 << 10;
constexpr std::size_t arena_bytes = 256 << 10;

struct Record {
    std::uint32_t block, epoch, warp_epoch;
    std::uint16_t thread;
    std::uint8_t bytes;  // which of the word's four
    bool atomic;
};

struct Cell {
    Record write;
    // The last; the last by another lane, another warp, another block than that.
    Record read, lane_read, warp_read, block_read;
    std::uint8_t known;    // bytes that have been written
    std::uint8_t pending;  // bytes that a copy under way will write
};

struct Allocation {
    std::size_t bytes;
    int device;
    bool known;  // all of it was written, whatever the cells say
};

char* map_addresses(std::size_t bytes) {
    void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) throw std::bad_alloc();
    return static_cast<char*>(at);
}

char* const window = map_addresses(window_bytes);
char* window_top = window;
std::map<char*, Allocation> allocations;
std::size_t allocated_bytes;

alignas(1024) char arena[arena_bytes];
std::size_t arena_top;
struct Variable {
    char* at;
    std::size_t bytes;
};
std::map<const void*, Variable> variables;

#ifdef HOSTSIM_CHECK
constexpr bool checked = true;
Cell* const window_cells = reinterpret_cast<Cell*>(map_addresses(window_bytes / 4 * sizeof(Cell)));
Cell arena_cells[arena_bytes / 4];
#else
constexpr bool checked = false;
Cell window_cells[1], arena_cells[1];  // never used
#endif

bool in_window(const char* p) { return p >= window && p < window + window_bytes; }
bool in_arena(const char* p) { return p >= arena && p < arena + arena_bytes; }

Cell* cell_of(const char* p) {
    return in_arena(p) ? arena_cells + (p - arena) / 4 : window_cells + (p - window) / 4;
}

// Calls f(cell, bytes of the word) for every word that [p, p + n) touches.
template <class F>
void for_words(const char* p, std::size_t n, F f) {
    Cell* cell = cell_of(p);
    std::size_t first = reinterpret_cast<std::uintptr_t>(p) % 4;
    while (n > 0) {
        const std::size_t count = n < 4 - first ? n : 4 - first;
        f(*cell++, static_cast<std::uint8_t>(((1u << count) - 1) << first));
        n -= count;
        first = 0;
    }
}

const char* name_of_memory(const char* p) { return in_arena(p) ? "shared" : "device"; }

// The allocation that p lies in or behind.
std::map<char*, Allocation>::const_iterator allocation_before(const char* p) {
    auto it = allocations.upper_bound(const_cast<char*>(p));
    return it == allocations.begin() ? allocations.end() : std::prev(it);
}

bool ordered(const Record& before, const Record& now) {
    if (before.block < block.launch_first) return true;  // nobody, or an earlier launch
    if ((before.bytes & now.bytes) == 0 || (before.atomic && now.atomic)) return true;
    if (before.block != now.block) return false;
    if (before.thread == now.thread || before.epoch != now.epoch) return true;
    return before.thread / 32 == now.thread / 32 && before.warp_epoch != now.warp_epoch;
}

void report_race(const char* p, const char* now, const char* then, const Record& before,
                 const void* code) {
    report(std::string("race on ") + name_of_memory(p) + " memory: a " + now + " by " + where() +
               " and a " + then + " by thread " + std::to_string(before.thread) +
               (before.block == block.serial ? " of the same block" : " of another block") +
               " are not ordered",
           code);
}

void remember_read(Cell& cell, const Record& now) {
    Record& last = cell.read;
    if (last.block != now.block) cell.block_read = last;
    if (last.block != now.block || last.thread / 32 != now.thread / 32) {
        cell.warp_read = last;
        cell.lane_read = Record{};
    } else if (last.thread != now.thread) {
        cell.lane_read = last;
    }
    last = now;
}

void remember_write(Cell& cell, const Record& now) {
    Record merged = now;
    const Record& last = cell.write;
    if (last.block == now.block && last.thread == now.thread && last.epoch == now.epoch &&
        last.warp_epoch == now.warp_epoch) {
        merged.bytes |= last.bytes;
    }
    cell.write = merged;
    cell.known |= now.bytes;
}

// Bounds. Ends the launch where the access is too wild to go on; says whether all is known to have
// been written.
bool judge_bounds(const char* p, std::size_t n, const char* kind, const void* code) {
    if (in_arena(p)) {
        for (const auto& [tag, variable] : variables) {
            if (p >= variable.at && p + n <= variable.at + variable.bytes) return false;
        }
        report("out of bounds: a " + std::string(kind) + " of " + std::to_string(n) +
                   " bytes of shared memory by " + where(),
               code);
        if (p + n > arena + arena_bytes) abandon("the launch ends after a wild access");
        return false;
    }
    const auto found = allocation_before(p);
    const std::size_t offset = found == allocations.end() ? 0 : p - found->first;
    if (found != allocations.end() && offset + n <= found->second.bytes) {
        if (found->second.device != block.device) {
            report("a " + std::string(kind) + " of memory of device " +
                       std::to_string(found->second.device) + " by a kernel on device " +
                       std::to_string(block.device),
                   code);
        }
        return found->second.known;
    }
    report("out of bounds: a " + std::string(kind) + " of " + std::to_string(n) +
               " bytes of device memory by " + where() +
               (found == allocations.end()
                    ? std::string(", before any allocation")
                    : ", " + std::to_string(offset) + " bytes into an allocation of " +
                          std::to_string(found->second.bytes)),
           code);
    return false;
}

// The CPU's own memory: a kernel may read its arguments and constants of the program, no more.
void judge_elsewhere(const char* p, std::size_t n, bool writes, const void* code) {
    if (p >= block.call && p + n <= block.call + block.call_bytes && !writes) return;
    static const char* known_page = nullptr;
    const char* page =
        reinterpret_cast<const char*>(reinterpret_cast<std::uintptr_t>(p) & ~4095ull);
    Dl_info info;
    if (page != known_page && dladdr(p, &info) == 0) {
        report(
            std::string("not device memory: a ") + (writes ? "write" : "read") + " by " + where(),
            code);
        abandon("the launch ends after a wild access");
    }
    known_page = page;
    if (!writes) return;
    report("a write of the CPU's memory by " + where(), code);
    abandon("the launch ends after a wild access");
}

}  // namespace

void access(const void* address, std::size_t n, bool writes, bool atomic, const void* code,
            std::size_t alignment) {
    if constexpr (!checked) return;
    const ThreadView* thread = running();
    if (thread == nullptr || n == 0) return;
    const char* p = static_cast<const char*>(address);
    if (p >= thread->stack && p < thread->stack + stack_bytes) return;
    if (!in_window(p) && !in_arena(p)) return judge_elsewhere(p, n, writes, code);

    const char* kind = writes ? "write" : "read";
    const bool known = judge_bounds(p, n, kind, code);
    if (reinterpret_cast<std::uintptr_t>(p) % alignment != 0) {
        report("misaligned: a " + std::string(kind) + " of " + std::to_string(n) + " bytes by " +
                   where(),
               code);
        abandon("the launch ends after a misaligned access");
    }
    Record now{
        block.serial, block.epoch, thread->warp_epoch, static_cast<std::uint16_t>(thread->index), 0,
        atomic};
    bool all_known = true, none_known = true;
    for_words(p, n, [&](Cell& cell, std::uint8_t bytes) {
        now.bytes = bytes;
        if ((cell.pending & bytes) != 0) {
            report("a " + std::string(kind) + " by " + where() + " of " + name_of_memory(p) +
                       " memory that an asynchronous copy is still to write",
                   code);
        }
        all_known = all_known && (cell.known & bytes) == bytes;
        none_known = none_known && (cell.known & bytes) == 0;
        if (!ordered(cell.write, now)) report_race(p, kind, "write", cell.write, code);
        if (writes) {
            for (const Record* read :
                 {&cell.read, &cell.lane_read, &cell.warp_read, &cell.block_read}) {
                if (!ordered(*read, now)) report_race(p, kind, "read", *read, code);
            }
            remember_write(cell, now);
        } else {
            remember_read(cell, now);
        }
    });
    // A copy of a whole structure takes its padding along.
    if (!known && (!writes || atomic) && (n <= 16 ? !all_known : none_known)) {
        report(std::string("a read of ") + name_of_memory(p) +
                   " memory that was never written, by " + where(),
               code);
    }
    maybe_preempt();
}

// ---- device memory ------------------------------------------------------------------------------

void* allocate(std::size_t bytes, int device) {
    const std::size_t reach = (bytes + 4095) / 4096 * 4096 + gap_bytes;
    if (window_top + reach > window + window_bytes) throw std::bad_alloc();
    char* at = window_top;
    window_top += reach;
    if (bytes <= poison_at_most) std::memset(at, 0xff, bytes + canary_bytes);
    allocations[at] = {bytes, device, false};
    allocated_bytes += bytes;
    return at;
}

static void check_canary(const char* at, std::size_t bytes) {
    if (bytes > poison_at_most) return;
    for (std::size_t i = bytes; i < bytes + canary_bytes; ++i) {
        if (at[i] == static_cast<char>(0xff)) continue;
        return report("out of bounds: the byte " + std::to_string(i) + " of an allocation of " +
                      std::to_string(bytes) + " was written");
    }
}

bool release(void* address) {
    const auto found = allocations.find(static_cast<char*>(address));
    if (found == allocations.end()) return false;
    const std::size_t bytes = found->second.bytes;
    check_canary(found->first, bytes);
    const std::size_t reach = (bytes + canary_bytes + 4095) / 4096 * 4096;
    madvise(found->first, reach, MADV_DONTNEED);
    allocated_bytes -= bytes;
    allocations.erase(found);
    return true;
}

void check_canaries() {
    for (const auto& [at, allocation] : allocations) check_canary(at, allocation.bytes);
}

void mark_written(const void* address, std::size_t bytes) {
    const char* p = static_cast<const char*>(address);
    if (!checked || !in_window(p)) return;
    const auto found = allocations.find(const_cast<char*>(p));
    if (found != allocations.end() && bytes == found->second.bytes) {
        found->second.known = true;
        return;
    }
    for_words(p, bytes, [](Cell& cell, std::uint8_t which) { cell.known |= which; });
}

std::size_t live_allocations() { return allocations.size(); }
std::size_t live_bytes() { return allocated_bytes; }

// ---- shared memory ------------------------------------------------------------------------------

void begin_block_memory() {
    variables.clear();
    if constexpr (checked)
        std::memset(static_cast<void*>(arena_cells), 0, arena_top / 4 * sizeof(Cell));
    arena_top = 0;
}

void* shared_variable(const void* tag, std::size_t bytes, std::size_t alignment) {
    const auto found = variables.find(tag);
    if (found != variables.end()) return found->second.at;
    if (alignment < 16) alignment = 16;
    const std::size_t offset = (arena_top + alignment - 1) / alignment * alignment;
    std::size_t total = bytes;
    for (const auto& [other, variable] : variables) total += variable.bytes;
    if (total > shared_limit) abandon("more than 48 KB of static shared memory");
    arena_top = (offset + bytes + 256 + 3) / 4 * 4;  // 256 bytes that belong to nobody
    std::memset(arena + offset, 0xff, bytes);
    variables[tag] = {arena + offset, bytes};
    return arena + offset;
}

// ---- asynchronous copies ------------------------------------------------------------------------
//
// A copy reads its source when it begins and writes when it is waited for. Until then its
// destination is nobody's to touch and its source nobody's to change.

void copy_async(void* to, const void* from, std::size_t bytes, std::size_t zeros) {
    const void* code = __builtin_return_address(0);
    if ((bytes != 4 && bytes != 8 && bytes != 16) || zeros > bytes) {
        abandon("an asynchronous copy of other than 4, 8 or 16 bytes");
    }
    if ((reinterpret_cast<std::uintptr_t>(to) | reinterpret_cast<std::uintptr_t>(from)) % bytes) {
        report(
            "misaligned: an asynchronous copy of " + std::to_string(bytes) + " bytes by " + where(),
            code);
    }
    if (!in_arena(static_cast<char*>(to)))
        abandon("an asynchronous copy to other than shared memory");
    const std::size_t given = bytes - zeros;
    if (given != 0 && !in_window(static_cast<const char*>(from))) {
        abandon("an asynchronous copy from other than device memory");
    }
    access(from, given, false, false, code);
    access(to, bytes, true, false, code);  // it may land at once
    if (checked) {
        for_words(static_cast<char*>(to), bytes,
                  [](Cell& cell, std::uint8_t which) { cell.pending |= which; });
    }
    const auto* source = static_cast<const unsigned char*>(from);
    running()->open.push_back({to, from, bytes, zeros, {source, source + given}});
}

void commit_copies() {
    running()->groups.push_back(std::move(running()->open));
    running()->open.clear();
}

void wait_for_copies(unsigned pending) {
    auto& groups = running()->groups;
    while (groups.size() > pending) {
        const std::vector<Copy> group = std::move(groups.front());
        groups.erase(groups.begin());
        for (const Copy& copy : group) {
            const std::size_t given = copy.bytes - copy.zeros;
            if (given != 0 && std::memcmp(copy.from, copy.source.data(), given) != 0) {
                report("the source of an asynchronous copy of " + where() + " has changed");
            }
            char* to = static_cast<char*>(copy.to);
            if (checked) {
                for_words(to, copy.bytes,
                          [](Cell& cell, std::uint8_t which) { cell.pending &= ~which; });
            }
            std::memcpy(to, copy.source.data(), given);
            std::memset(to + given, 0, copy.zeros);
            access(to, copy.bytes, true, false, __builtin_return_address(0));
        }
    }
}

void end_thread_memory() {
    bool under_way = !running()->open.empty();
    for (const auto& group : running()->groups) under_way = under_way || !group.empty();
    if (under_way) report("a thread ends with an asynchronous copy under way: " + where());
}

}  // namespace hostsim
