// From one instruction of the 6502 to the next: Cpu::run().
#pragma once

#include "cpu.hpp"

namespace mario {

#define MARIO_ROW(M, h)                                                                       \
  M(h##0) M(h##1) M(h##2) M(h##3) M(h##4) M(h##5) M(h##6) M(h##7) M(h##8) M(h##9) M(h##a)     \
  M(h##b) M(h##c) M(h##d) M(h##e) M(h##f)
#define MARIO_EVERY_OPCODE(M)                                                                 \
  MARIO_ROW(M, 0) MARIO_ROW(M, 1) MARIO_ROW(M, 2) MARIO_ROW(M, 3) MARIO_ROW(M, 4)             \
  MARIO_ROW(M, 5) MARIO_ROW(M, 6) MARIO_ROW(M, 7) MARIO_ROW(M, 8) MARIO_ROW(M, 9)             \
  MARIO_ROW(M, a) MARIO_ROW(M, b) MARIO_ROW(M, c) MARIO_ROW(M, d) MARIO_ROW(M, e)             \
  MARIO_ROW(M, f)

// Outside the ROM the first opcode that halts is the mark that the ROM was left.
template <class T, bool kFromRom>
MARIO_INLINE bool Cpu<T, kFromRom>::has_left_rom() {
  if (pc >= 0x8000u && pc <= 0xffffu) return false;
  pc &= 0xffffu;
  return true;
}

// Any instruction, wherever it lies.
template <class T, bool kFromRom>
MARIO_INLINE void Cpu<T, kFromRom>::run_plainly() {
  while (left > 0 && (kFromRom || pc < 0x8000u)) {
    const std::uint8_t opcode = code(pc);
#ifdef MARIO_TRACE
    MARIO_TRACE(pc, opcode);
#endif
    if (kFromRom && opcode == kTrapOpcode && has_left_rom()) return;
    switch (opcode) {
#define MARIO_CASE(opcode)        \
  case 0x##opcode:                \
    execute(Opcode<0x##opcode>{}); \
    break;
      MARIO_EVERY_OPCODE(MARIO_CASE)
#undef MARIO_CASE
    }
  }
}

template <class T, bool kFromRom>
void Cpu<T, kFromRom>::run(Console<T>& console) {
  Cpu cpu(console);
  cpu.run_plainly();
  cpu.store();
}

// GCC and Clang can jump to computed places: one jump at the end of every instruction instead of
// one for all, so that the processor predicts each by itself, and none within the sequences of
// fusions.inc. Elsewhere (or with MARIO_SWITCH) it is a switch in a loop.
#if defined(__GNUC__) && !defined(MARIO_SWITCH)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"

#define MARIO_NEXT                      \
  if (cpu.left <= 0) goto out;          \
  goto* kJumps[handlers[cpu.pc]];
#define MARIO_LAST(opcode)              \
  cpu.execute(Opcode<0x##opcode>{});    \
  MARIO_NEXT
// An instruction that another follows, unless it branches away or an event is due.
#define MARIO_THEN(opcode)                                                            \
  {                                                                                   \
    const std::uint64_t following = cpu.pc + instruction_length(0x##opcode);          \
    cpu.execute(Opcode<0x##opcode>{});                                                \
    if (cpu.left <= 0) goto out;                                                      \
    if (cpu.pc != following) goto* kJumps[handlers[cpu.pc]];                          \
  }

template <class T>
void run_rom(Console<T>& console, const std::uint16_t* const handlers) {
  static const void* const kJumps[] = {
#define MARIO_ADDRESS(opcode) &&op_##opcode,
      MARIO_EVERY_OPCODE(MARIO_ADDRESS)
#undef MARIO_ADDRESS
#define MARIO_FUSE_2(a, b) &&op_##a##b,
#define MARIO_FUSE_3(a, b, c) &&op_##a##b##c,
#define MARIO_FUSE_4(a, b, c, d) &&op_##a##b##c##d,
#include "fusions.inc"
#undef MARIO_FUSE_2
#undef MARIO_FUSE_3
#undef MARIO_FUSE_4
  };
  Cpu<T, true> cpu(console);
  MARIO_NEXT

#define MARIO_LABEL(opcode)                                           \
  op_##opcode:                                                        \
  if (0x##opcode == kTrapOpcode && cpu.has_left_rom()) goto out;      \
  MARIO_LAST(opcode)
  MARIO_EVERY_OPCODE(MARIO_LABEL)
#undef MARIO_LABEL

#define MARIO_FUSE_2(a, b) op_##a##b : MARIO_THEN(a) MARIO_LAST(b)
#define MARIO_FUSE_3(a, b, c) op_##a##b##c : MARIO_THEN(a) MARIO_THEN(b) MARIO_LAST(c)
#define MARIO_FUSE_4(a, b, c, d) \
  op_##a##b##c##d : MARIO_THEN(a) MARIO_THEN(b) MARIO_THEN(c) MARIO_LAST(d)
#include "fusions.inc"
#undef MARIO_FUSE_2
#undef MARIO_FUSE_3
#undef MARIO_FUSE_4

out:
  cpu.store();
}

#undef MARIO_THEN
#undef MARIO_LAST
#undef MARIO_NEXT
#pragma GCC diagnostic pop
#else
template <class T>
void run_rom(Console<T>& console, const std::uint16_t*) {
  Cpu<T, true>::run(console);
}
#endif

#undef MARIO_EVERY_OPCODE
#undef MARIO_ROW

}  // namespace mario
