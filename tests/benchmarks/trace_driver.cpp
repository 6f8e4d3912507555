// Which instructions follow each other in play: trace_driver ROM START...
//
// ROM is a cartridge image, each START a machine as Snapshot.data holds it. For every sequence of
// opcodes that ran without a jump it prints how often it did, and the opcodes.
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <random>
#include <vector>

#include "machine.hpp"
#include "opcode.hpp"

namespace {

using Bytes = std::vector<std::uint8_t>;

std::map<Bytes, long> runs;
Bytes run;
std::uint64_t expected = 0;

void trace(std::uint64_t pc, std::uint8_t opcode) {
  if (pc != expected && !run.empty()) {
    ++runs[run];
    run.clear();
  }
  run.push_back(opcode);
  expected = pc + static_cast<std::uint64_t>(mario::instruction_length(opcode));
}

}  // namespace

#define MARIO_SWITCH
#define MARIO_TRACE(pc, opcode) trace(pc, opcode)
#include "timing_console.cpp"
#include "timing_nes_py.cpp"

int main(int argc, char** argv) {
  const auto read_file = [](const char* path) {
    std::ifstream file(path, std::ios::binary);
    return Bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  };
  if (argc < 3) return 2;
  const Bytes rom = read_file(argv[1]);
  const auto cartridge = mario::Cartridge::parse(rom.data(), rom.size());
  auto machine = std::make_unique<mario::Machine<mario::ConsoleTiming>>(cartridge);
  std::mt19937 random(1);
  for (int i = 2; i < argc; ++i) {
    const Bytes start = read_file(argv[i]);
    mario::Saved saved;
    if (!mario::deserialize(start.data(), start.size(), saved).empty()) return 2;
    for (int game = 0; game < 4; ++game) {
      machine->load(saved);
      for (int step = 0; step < 60; ++step) {  // to the right, with A and B at random
        machine->step(static_cast<std::uint8_t>(0x80 | random() % 4), 4);
      }
    }
  }
  for (const auto& [opcodes, count] : runs) {
    std::printf("%ld", count);
    for (const int opcode : opcodes) std::printf(" %02x", opcode);
    std::printf("\n");
  }
}
