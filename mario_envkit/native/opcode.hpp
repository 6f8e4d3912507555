// What is known of an opcode by its number alone.
#pragma once

#include <cstdint>

namespace mario {

// An opcode as a type, so that overloads can be chosen by it.
template <unsigned kCode>
struct Opcode {};

// Bytes of the instruction with its operand.
constexpr int instruction_length(unsigned opcode) {
  const unsigned column = opcode & 0x1fu;
  if (column == 0x08 || column == 0x18 || column == 0x0a || column == 0x1a) return 1;
  if (opcode == 0x00 || opcode == 0x40 || opcode == 0x60) return 1;  // BRK, RTI, RTS
  if (opcode == 0x20 || column == 0x19 || column == 0x1b) return 3;  // JSR; absolute, y
  return (column & 0x0cu) == 0x0c ? 3 : 2;
}

// Unofficial opcodes do nothing here, but have the length and time that they have on the chip.
// 0: official, or one that halts the chip.
constexpr int unofficial_cycles(unsigned opcode) {
  constexpr char kCycles[] =
      "0008300500024006" "0008400600274007" "0008000500020006" "0008400600274007"
      "0008300500020006" "0008400600274007" "0008300500020006" "0008400600274007"
      "2026000302020004" "0006000400055055" "0006000300020004" "0005000400040004"
      "0028000500020006" "0008400600274007" "0028000500020006" "0008400600274007";
  return kCycles[opcode] - '0';
}

}  // namespace mario
