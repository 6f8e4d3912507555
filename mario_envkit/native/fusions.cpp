#include "fusions.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

#include "opcode.hpp"

namespace mario {

namespace {

constexpr std::size_t kMemory = 0x10000;

struct Fusion {
  std::vector<std::uint8_t> opcodes;
  std::uint16_t handler;
};

// Fusions by their first opcode, the longest first.
std::array<std::vector<Fusion>, 256> sort_fusions() {
  std::array<std::vector<Fusion>, 256> sorted;
  std::uint16_t handler = kFirstFusion;
  const auto add = [&](std::vector<std::uint8_t> opcodes) {
    std::vector<Fusion>& group = sorted[opcodes[0]];
    group.push_back({std::move(opcodes), handler++});
  };
#define MARIO_FUSE_2(a, b) add({0x##a, 0x##b});
#define MARIO_FUSE_3(a, b, c) add({0x##a, 0x##b, 0x##c});
#define MARIO_FUSE_4(a, b, c, d) add({0x##a, 0x##b, 0x##c, 0x##d});
#include "fusions.inc"
#undef MARIO_FUSE_2
#undef MARIO_FUSE_3
#undef MARIO_FUSE_4
  for (std::vector<Fusion>& group : sorted) {
    std::stable_sort(group.begin(), group.end(), [](const Fusion& one, const Fusion& other) {
      return one.opcodes.size() > other.opcodes.size();
    });
  }
  return sorted;
}

bool starts_at(const Fusion& fusion, const std::vector<std::uint8_t>& image, std::size_t at) {
  for (const std::uint8_t opcode : fusion.opcodes) {
    if (at >= kMemory || image[at] != opcode) return false;
    at += static_cast<std::size_t>(instruction_length(opcode));
  }
  return at <= kMemory;
}

}  // namespace

std::vector<std::uint16_t> find_handlers(const std::vector<std::uint8_t>& image) {
  static const std::array<std::vector<Fusion>, 256> kFusions = sort_fusions();
  std::vector<std::uint16_t> handlers(image.begin(), image.end());
  for (std::size_t at = kMemory / 2; at < kMemory; ++at) {
    for (const Fusion& fusion : kFusions[image[at]]) {
      if (!starts_at(fusion, image, at)) continue;
      handlers[at] = fusion.handler;
      break;
    }
  }
  return handlers;
}

}  // namespace mario
