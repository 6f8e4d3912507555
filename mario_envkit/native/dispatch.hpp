// From one instruction of the 6502 to the next: Cpu::run(), around the table in opcodes.inc.
#pragma once

#include "cpu.hpp"

namespace mario {

// One jump at the end of every instruction instead of one for all: the processor predicts each by
// itself. GCC and Clang can say so; elsewhere (or with MARIO_SWITCH) it is a switch in a loop.
#if defined(__GNUC__) && !defined(MARIO_SWITCH)
#define MARIO_THREADED 1
#define MARIO_ROW(h)                                                                            \
  &&op_##h##0, &&op_##h##1, &&op_##h##2, &&op_##h##3, &&op_##h##4, &&op_##h##5, &&op_##h##6,    \
      &&op_##h##7, &&op_##h##8, &&op_##h##9, &&op_##h##a, &&op_##h##b, &&op_##h##c, &&op_##h##d, \
      &&op_##h##e, &&op_##h##f
#define MARIO_OP(opcode) op_##opcode:
#define MARIO_NEXT                                           \
  if (cpu.left <= 0 || (!kFromRom && cpu.pc >= 0x8000u)) {   \
    return cpu.store();                                      \
  }                                                          \
  goto* kJumps[cpu.code(cpu.pc)];
// The same where some opcodes follow often (measured on play). A frame has thousands of indirect
// jumps, more than processors remember the targets of; conditional ones they predict far better.
#define MARIO_TRY(opcode) \
  if (kFromRom && cpu.left > 0 && cpu.code(cpu.pc) == 0x##opcode) goto op_##opcode;
#define MARIO_NEXT_1(first) MARIO_TRY(first) MARIO_NEXT
#define MARIO_NEXT_2(first, second) MARIO_TRY(first) MARIO_NEXT_1(second)
#define MARIO_NEXT_3(first, second, third) MARIO_TRY(first) MARIO_NEXT_2(second, third)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
#else
#define MARIO_OP(opcode) case 0x##opcode:
#define MARIO_NEXT break;
#define MARIO_NEXT_1(first) break;
#define MARIO_NEXT_2(first, second) break;
#define MARIO_NEXT_3(first, second, third) break;
#endif

template <class T, bool kFromRom>
void Cpu<T, kFromRom>::run(Console<T>& console) {
  Cpu cpu(console);
#if MARIO_THREADED
  static const void* const kJumps[256] = {
      MARIO_ROW(0), MARIO_ROW(1), MARIO_ROW(2), MARIO_ROW(3), MARIO_ROW(4), MARIO_ROW(5),
      MARIO_ROW(6), MARIO_ROW(7), MARIO_ROW(8), MARIO_ROW(9), MARIO_ROW(a), MARIO_ROW(b),
      MARIO_ROW(c), MARIO_ROW(d), MARIO_ROW(e), MARIO_ROW(f)};
  MARIO_NEXT
#include "opcodes.inc"
#else
  while (cpu.left > 0 && (kFromRom || cpu.pc < 0x8000u)) {
    switch (cpu.code(cpu.pc)) {
#include "opcodes.inc"
    }
  }
  cpu.store();
#endif
}

#if MARIO_THREADED
#pragma GCC diagnostic pop
#endif
#undef MARIO_ROW
#undef MARIO_OP
#undef MARIO_NEXT
#undef MARIO_TRY
#undef MARIO_NEXT_1
#undef MARIO_NEXT_2
#undef MARIO_NEXT_3

}  // namespace mario
