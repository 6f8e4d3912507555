// The processor status byte, and what of it reaches the stack.
#pragma once

#include <cstdint>

namespace mario {

constexpr unsigned kCarry = 0x01, kZero = 0x02, kInterrupt = 0x04, kDecimal = 0x08;
constexpr unsigned kBreak = 0x10, kOne = 0x20, kOverflow = 0x40, kNegative = 0x80;

inline std::uint8_t reverse_bits(unsigned value) {
  value = (value & 0x55u) << 1 | (value & 0xaau) >> 1;
  value = (value & 0x33u) << 2 | (value & 0xccu) >> 2;
  return static_cast<std::uint8_t>((value & 0x0fu) << 4 | (value & 0xf0u) >> 4);
}

// What an interrupt (or BRK) pushes. nes-py keeps the bits the other way round and sets there what
// would be bits 5 and 4 of the usual order: those are I and D.
template <class T>
std::uint8_t pushed_status(unsigned p, bool brk) {
  if constexpr (T::kReversedStatus) {
    return reverse_bits(p | kInterrupt | (brk ? kDecimal : 0u));
  }
  return static_cast<std::uint8_t>((p & ~kBreak) | kOne | (brk ? kBreak : 0u));
}

// What PHP pushes.
template <class T>
std::uint8_t saved_status(unsigned p) {
  return T::kReversedStatus ? reverse_bits(p) : static_cast<std::uint8_t>(p | kBreak | kOne);
}

// What PLP and RTI make of a byte.
template <class T>
unsigned restored_status(unsigned byte) {
  return T::kReversedStatus ? reverse_bits(byte) : (byte & ~kBreak) | kOne;
}

}  // namespace mario
