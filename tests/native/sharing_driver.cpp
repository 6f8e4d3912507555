// Threads that share a machine, a pool and an explorer, for ThreadSanitizer:
// sharing_driver ROM START TIMING
//
// Prints a checksum of what each of the three does alone, and one of what it does while others look.
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "env_saves.hpp"
#include "shared.hpp"

using namespace mario;

namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes read_file(const char* path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::uint64_t mix(std::uint64_t checksum, const Bytes& bytes) {
  for (const std::uint8_t byte : bytes) checksum = (checksum ^ byte) * 1099511628211u;
  return checksum;
}

// Calls `others` over and over, each in a thread, while `work` is done; a std::logic_error is an
// answer, too.
std::uint64_t beside(const std::function<std::uint64_t()>& work,
                     const std::vector<std::function<void()>>& others) {
  std::atomic<bool> over{false};
  std::vector<std::thread> threads;
  for (const auto& other : others) {
    threads.emplace_back([&] {
      while (!over) {
        try {
          other();
        } catch (const std::logic_error&) {
        }
      }
    });
  }
  const std::uint64_t checksum = work();
  over = true;
  for (std::thread& thread : threads) thread.join();
  return checksum;
}

template <class Timing>
void share_machine(const std::shared_ptr<const Cartridge>& cartridge, const Bytes& start) {
  const Observer observer{ObservationSpec{}};
  const auto play = [&](SharedMachine<Timing>& machine) {
    machine.load(start.data(), start.size());
    std::uint64_t checksum = 0;
    Bytes bytes(serialized_size());
    for (int i = 0; i < 200; ++i) {
      machine.step(static_cast<std::uint8_t>(i % 16 ? 0x80 : 0x81), 1 + i % 3, i % 5 == 0);
      machine.save(bytes.data());
      checksum = mix(checksum, bytes);
    }
    return checksum;
  };
  SharedMachine<Timing> alone(cartridge), shared(cartridge);
  Bytes one(observer.size()), other(observer.size()), saved(serialized_size());
  const std::uint64_t checksum =
      beside([&] { return play(shared); },
             {[&] { shared.observe(observer, one.data()); },
              [&] { shared.observe(observer, other.data()); },
              [&] { shared.save(saved.data()); }});
  std::printf("%016llx %016llx\n", static_cast<unsigned long long>(play(alone)),
              static_cast<unsigned long long>(checksum));
  beside([&] { return play(shared); },
         {[&] { shared.power_on(); }, [&] { shared.load(start.data(), start.size()); },
          [&] { shared.set_second_joypad(1); }});
}

// A pool with its buffers.
struct Games {
  static constexpr int kEnvs = 5;

  Games(const char* timing, const std::shared_ptr<const Cartridge>& cartridge, const Saved& saved)
      : orders(kEnvs), ints(kEnvs * kIntRows), flags(kEnvs * kFlagRows), doubles(kEnvs * 2) {
    EnvSpec spec;
    spec.frame_skip = 4;
    spec.frame_stack = 2;
    spec.picture.height = spec.picture.width = 84;
    spec.picture.grey = Grey::kLuma;
    spec.reward.terms = {{TermKind::kDistance, 1}};
    PoolBuffers buffers;
    buffers.orders = orders.data();
    buffers.ints = ints.data();
    buffers.flags = flags.data();
    buffers.doubles = doubles.data();
    pool = std::make_unique<SharedPool>(
        EnvPool::make(timing, cartridge, spec, kEnvs, 2, buffers));
    pool->add_start(Start{saved, true});
    out.resize(kEnvs * pool->observation_bytes());
  }

  std::uint64_t play() {
    std::uint64_t checksum = 0;
    for (int step = 0; step < 40; ++step) {
      for (int i = 0; i < kEnvs; ++i) {
        const bool over = flags[kTerminatedRow * kEnvs + i] != 0;
        orders[i] = step == 0 || over ? Order{0, i} : Order{Order::kStep, 0x80 | (step + i) % 2};
      }
      if (step % 2) {
        pool->run(out.data());
      } else {
        pool->start(out.data());
        pool->wait();
      }
      checksum = mix(checksum, out);
    }
    return checksum;
  }

  std::vector<Order> orders;
  std::vector<std::int64_t> ints;
  std::vector<std::uint8_t> flags;
  std::vector<double> doubles;
  std::unique_ptr<SharedPool> pool;
  Bytes out;
};

// Looks at a game in every way there is.
void look(SharedPool& pool, int env) {
  std::int64_t progress[kProgressFields], memory[kMemoryFields];
  Bytes stack(pool.observation_bytes()), screen(kHeight * kWidth * 3), ram(kRamSize);
  pool.screen(env, screen.data());
  pool.ram(env, ram.data());
  pool.save(env, progress, memory, stack.data());
}

void share_pool(const char* timing, const std::shared_ptr<const Cartridge>& cartridge,
                const Saved& saved) {
  Games alone(timing, cartridge, saved), shared(timing, cartridge, saved);
  SharedPool& pool = *shared.pool;
  const std::uint64_t checksum =
      beside([&] { return shared.play(); },
             {[&] { look(pool, 0); }, [&] { look(pool, 3); },
              [&] { pool.add_start(Start{saved, true}); }});
  std::printf("%016llx %016llx\n", static_cast<unsigned long long>(alone.play()),
              static_cast<unsigned long long>(checksum));
  // Two that step: one of them is told.
  const auto step = [&] {
    Bytes out(shared.out.size());
    pool.start(out.data());
    pool.wait();
  };
  for (Order& order : shared.orders) order = {Order::kKeep, 0};
  beside(
      [&] {
        for (int i = 0; i < 50; ++i) look(pool, 1);
        return 0;
      },
      {step, step, [&] { pool.run(shared.out.data()); }});
  pool.start(shared.out.data());
  shared.pool.reset();  // while it works
}

void share_explorer(const char* timing, const std::shared_ptr<const Cartridge>& cartridge,
                    const Saved& saved) {
  constexpr int kRows = 6;
  struct Rows {
    GameState states[kRows];
    std::uint8_t bytes[kRows * 2];
    std::int32_t frames[kRows];
    Log log() { return {states, bytes, frames}; }
  };
  const std::int32_t holds[kRows * 2] = {0x80, 9, 0x81, 5, 0x80, 7, 0x40, 3, 0x82, 8, 0x80, 2};
  const auto make = [&] {
    return std::make_unique<SharedExplorer>(
        Explorer::make(timing, cartridge, saved, {0x6d, 0x86}));
  };
  const auto explore = [&](SharedExplorer& explorer, Rows& rows) {
    std::uint64_t checksum = 0;
    for (int i = 0; i < 60; ++i) {
      const int count = 1 + i % kRows;
      const int begun = explorer.explore(0, holds, static_cast<std::size_t>(count), rows.log());
      checksum = mix(checksum + static_cast<std::uint64_t>(begun),
                     Bytes(rows.bytes, rows.bytes + 2 * begun));
    }
    return checksum;
  };
  const auto alone = make(), shared = make();
  Rows rows{}, others{};
  const std::uint64_t checksum =
      beside([&] { return explore(*shared, rows); },
             {[&] { explore(*shared, others); },
              [&] {
                shared->ending();
                shared->forget(shared->keep(0));
              }});
  std::printf("%016llx %016llx\n", static_cast<unsigned long long>(explore(*alone, rows)),
              static_cast<unsigned long long>(checksum));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  const Bytes rom = read_file(argv[1]), start = read_file(argv[2]);
  Saved saved;
  const std::string problem = deserialize(start.data(), start.size(), saved);
  if (!problem.empty()) return std::fprintf(stderr, "%s\n", problem.c_str()), 2;
  const auto cartridge = Cartridge::parse(rom.data(), rom.size());
  if (argv[3] == std::string(ConsoleTiming::kCore)) {
    share_machine<ConsoleTiming>(cartridge, start);
  } else {
    share_machine<NesPyTiming>(cartridge, start);
  }
  share_pool(argv[3], cartridge, saved);
  share_explorer(argv[3], cartridge, saved);
}
