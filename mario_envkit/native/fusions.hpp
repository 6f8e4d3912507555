// Sequences of instructions that games of this time often have, each run as one.
#pragma once

#include <cstdint>
#include <vector>

namespace mario {

// What the interpreter does at an address is a number: an opcode, or kFirstFusion + i for line i of
// fusions.inc.
constexpr int kFirstFusion = 256;

// The number for every address of `image`: of the longest sequence of fusions.inc that starts there
// and ends in memory, else the opcode.
std::vector<std::uint16_t> find_handlers(const std::vector<std::uint8_t>& image);

}  // namespace mario
