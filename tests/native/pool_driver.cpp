// A pool of environments under load, for ThreadSanitizer: pool_driver ROM START TIMING
//
// ROM is a cartridge image, START a machine as Snapshot.data holds it. Prints a checksum of all
// observations, which does not depend on the number of threads.
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "env_pool.hpp"

using namespace mario;

namespace {

std::vector<std::uint8_t> read_file(const char* path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

EnvSpec make_spec() {
  EnvSpec spec;
  spec.frame_skip = 4;
  spec.max_pool = true;
  spec.picture.height = spec.picture.width = 84;
  spec.picture.grey = Grey::kLuma;
  spec.frame_stack = 4;
  spec.stall_limit = 20;
  spec.reward.terms = {{TermKind::kDistance, 1}, {TermKind::kClock, 1}, {TermKind::kDeath, -25}};
  return spec;
}

std::uint64_t play(const std::shared_ptr<const Cartridge>& cartridge, const Saved& saved,
                   const char* timing, int threads) {
  constexpr int kEnvs = 9, kSteps = 60;
  const EnvSpec spec = make_spec();
  std::vector<Order> orders(kEnvs);
  std::vector<std::int64_t> ints(kEnvs * kIntRows);
  std::vector<std::uint8_t> flags(kEnvs * kFlagRows);
  std::vector<double> doubles(kEnvs * (1 + spec.reward.terms.size()));
  std::vector<GameState> history(kEnvs * 8);
  std::vector<std::int32_t> used(kEnvs);
  PoolBuffers buffers{orders.data(),  ints.data(), flags.data(), doubles.data(),
                      history.data(), used.data(), 8};
  auto pool = EnvPool::make(timing, cartridge, spec, kEnvs, threads, buffers);
  pool->add_start(Start{saved, {1, 1}});
  std::vector<std::uint8_t> out(kEnvs * pool->observation_bytes());
  std::mt19937 random(1);
  std::uint64_t checksum = 14695981039346656037u;
  for (int step = 0; step < kSteps; ++step) {
    for (int i = 0; i < kEnvs; ++i) {
      const bool over = flags[kTerminatedRow * kEnvs + i] || flags[kTruncatedRow * kEnvs + i];
      orders[i] = step == 0 || over ? Order{0, i % 7}
                                    : Order{Order::kStep, static_cast<int>(0x80 | random() % 4)};
    }
    if (step % 2) {
      pool->run(out.data());
    } else {
      pool->start(out.data());
      pool->wait();
    }
    for (const std::uint8_t byte : out) checksum = (checksum ^ byte) * 1099511628211u;
  }
  pool->start(out.data());
  pool.reset();  // while it works
  return checksum;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  const auto rom = read_file(argv[1]), start = read_file(argv[2]);
  Saved saved;
  const std::string problem = deserialize(start.data(), start.size(), saved);
  if (!problem.empty()) return std::fprintf(stderr, "%s\n", problem.c_str()), 2;
  const auto cartridge = Cartridge::parse(rom.data(), rom.size());
  for (const int threads : {1, 2, 5}) {
    std::printf("%016llx\n",
                static_cast<unsigned long long>(play(cartridge, saved, argv[3], threads)));
  }
}
