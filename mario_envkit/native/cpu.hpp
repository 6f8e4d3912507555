// The 6502 of the console: all official instructions with their timing. Unofficial ones do nothing,
// in the time and length they have on the chip; those that halt it repeat themselves.
//
// Registers live in this object only while run() is on the stack, so that the compiler keeps them
// in machine registers; `left` counts down the dots to the next event.
#pragma once

#include <cstdint>

#include "console.hpp"
#include "opcode.hpp"
#include "status.hpp"

#if defined(__GNUC__)
#define MARIO_INLINE __attribute__((always_inline)) inline
#else
#define MARIO_INLINE inline
#endif

namespace mario {

template <class T, bool kFromRom>
class Cpu {
 public:
  // Runs until the next event, or until the program counter leaves (kFromRom) or enters the ROM.
  static void run(Console<T>& console);

 private:
  template <class Timing>
  friend void run_rom(Console<Timing>& console, const std::uint16_t* handlers);

  MARIO_INLINE void run_plainly();
  MARIO_INLINE bool has_left_rom();

  MARIO_INLINE explicit Cpu(Console<T>& console)
      : console_(console), ram(console.s_.ram), image(console.cartridge_.image()) {
    const State& s = console.s_;
    pc = s.pc;
    a = s.a;
    x = s.x;
    y = s.y;
    sp = s.sp;
    set_status(s.p);
    left = console.event_ - s.now;
  }

  MARIO_INLINE void store() {
    State& s = console_.s_;
    s.pc = static_cast<std::uint16_t>(pc);
    s.a = static_cast<std::uint8_t>(a);
    s.x = static_cast<std::uint8_t>(x);
    s.y = static_cast<std::uint8_t>(y);
    s.sp = static_cast<std::uint8_t>(sp);
    s.p = static_cast<std::uint8_t>(status());
    s.now = console_.event_ - left;
  }

  // ------------------------------------------------------------------------------------ flags
  // Z is set if the low byte of `nz` is 0, N if bit 7 or 8 of it is set.

  MARIO_INLINE bool negative() const { return (nz & 0x180u) != 0; }
  MARIO_INLINE bool zero() const { return (nz & 0xffu) == 0; }
  MARIO_INLINE unsigned status() const {
    return rest | carry | (zero() ? kZero : 0u) | (overflow ? kOverflow : 0u) |
           (negative() ? kNegative : 0u);
  }
  MARIO_INLINE void set_status(unsigned p) {
    carry = p & kCarry;
    overflow = (p & kOverflow) != 0;
    nz = (p & kNegative) << 1 | ((p & kZero) ? 0u : 1u);
    rest = p & (kInterrupt | kDecimal | kBreak | kOne);
  }

  // ----------------------------------------------------------------------------------- memory

  // When the current instruction, of `cycles` cycles that have been counted, does its I/O.
  MARIO_INLINE int access_dot(int cycles) const {
    return console_.event_ - left - (T::kAccessOnFirstCycle ? cycles : 1) * 3;
  }
  MARIO_INLINE std::uint8_t code(std::uint64_t at) {
    if constexpr (kFromRom) return image[at];
    return console_.read(static_cast<std::uint16_t>(at), console_.event_ - left);
  }
  MARIO_INLINE std::uint32_t code16(std::uint64_t at) {
    const std::uint32_t low = code(at);
    return low | static_cast<std::uint32_t>(code(at + 1)) << 8;
  }
  MARIO_INLINE std::uint8_t read(std::uint32_t address, int cycles) {
    if (address < 0x2000u) return ram[address & 0x7ffu];
    if (address >= 0x8000u) return image[address];
    return console_.read_io(static_cast<std::uint16_t>(address), access_dot(cycles));
  }
  MARIO_INLINE void write(std::uint32_t address, std::uint8_t value, int cycles) {
    if (address < 0x2000u) {
      ram[address & 0x7ffu] = value;
    } else if (address < 0x8000u) {
      left = console_.write_io(static_cast<std::uint16_t>(address), value, access_dot(cycles),
                               left);
    }
  }
  MARIO_INLINE void push(std::uint64_t value) {
    ram[0x100u | sp] = static_cast<std::uint8_t>(value);
    sp = (sp - 1) & 0xffu;
  }
  MARIO_INLINE std::uint8_t pull() {
    sp = (sp + 1) & 0xffu;
    return ram[0x100u | sp];
  }

  MARIO_INLINE void spend(int cycles) { left -= cycles * 3; }

  // ------------------------------------------------------------------------------- addressing
  // Each takes the operand and moves to the next instruction.

  MARIO_INLINE std::uint8_t immediate() {
    const std::uint8_t value = code(pc + 1);
    pc += 2;
    return value;
  }
  MARIO_INLINE std::uint32_t zero_page() { return immediate(); }
  MARIO_INLINE std::uint32_t zero_page(std::uint32_t index) {
    return (immediate() + index) & 0xffu;
  }
  MARIO_INLINE std::uint32_t absolute() {
    const std::uint32_t address = code16(pc + 1);
    pc += 3;
    return address;
  }
  MARIO_INLINE std::uint32_t pointer(std::uint32_t at) const {
    return ram[at & 0xffu] | static_cast<std::uint32_t>(ram[(at + 1) & 0xffu]) << 8;
  }
  static MARIO_INLINE int crosses(std::uint32_t base, std::uint32_t index) {
    return static_cast<int>(((base & 0xffu) + index) >> 8);
  }

  MARIO_INLINE std::uint8_t read_immediate() {
    spend(2);
    return immediate();
  }

  // Values read in each mode, in `cycles` cycles, plus one where the index crosses a page.
  MARIO_INLINE std::uint8_t from_zero_page() {
    spend(3);
    return ram[zero_page()];
  }
  MARIO_INLINE std::uint8_t from_zero_page(std::uint32_t index) {
    spend(4);
    return ram[zero_page(index)];
  }
  MARIO_INLINE std::uint8_t from_absolute() {
    spend(4);
    return read(absolute(), 4);
  }
  MARIO_INLINE std::uint8_t from_indexed(std::uint32_t base, std::uint32_t index, int cycles) {
    cycles += crosses(base, index);
    spend(cycles);
    return read((base + index) & 0xffffu, cycles);
  }
  MARIO_INLINE std::uint8_t from_absolute(std::uint32_t index) {
    return from_indexed(absolute(), index, 4);
  }
  MARIO_INLINE std::uint8_t from_indirect_x() {
    spend(6);
    return read(pointer(zero_page(x)), 6);
  }
  MARIO_INLINE std::uint8_t from_indirect_y() {
    return from_indexed(pointer(zero_page()), y, 5);
  }

  MARIO_INLINE void to_zero_page(std::uint32_t value) {
    spend(3);
    ram[zero_page()] = static_cast<std::uint8_t>(value);
  }
  MARIO_INLINE void to_zero_page(std::uint32_t index, std::uint32_t value) {
    spend(4);
    ram[zero_page(index)] = static_cast<std::uint8_t>(value);
  }
  MARIO_INLINE void to(std::uint32_t address, std::uint32_t value, int cycles) {
    spend(cycles);
    write(address & 0xffffu, static_cast<std::uint8_t>(value), cycles);
  }

  // ------------------------------------------------------------------------------- operations

  MARIO_INLINE void set_nz(unsigned value) { nz = value; }
  MARIO_INLINE void load(std::uint32_t& target, std::uint32_t value) {
    target = value;
    set_nz(value);
  }
  MARIO_INLINE void add(unsigned value) {
    const unsigned sum = a + value + carry;
    overflow = ((a ^ sum) & (value ^ sum) & 0x80u) != 0;
    carry = sum >> 8;
    load(a, static_cast<std::uint8_t>(sum));
  }
  MARIO_INLINE void subtract(std::uint8_t value) { add(value ^ 0xffu); }
  MARIO_INLINE void compare(std::uint32_t left_hand, std::uint8_t value) {
    carry = left_hand >= value;
    set_nz((left_hand - value) & 0xffu);
  }
  MARIO_INLINE void bit(std::uint8_t value) {
    overflow = (value & 0x40u) != 0;
    nz = (value & 0x80u) << 1 | ((a & value) ? 1u : 0u);
  }

  struct ShiftLeft {
    MARIO_INLINE static std::uint8_t of(Cpu& cpu, unsigned value) {
      cpu.carry = value >> 7;
      return static_cast<std::uint8_t>(value << 1);
    }
  };
  struct ShiftRight {
    MARIO_INLINE static std::uint8_t of(Cpu& cpu, unsigned value) {
      cpu.carry = value & 1u;
      return static_cast<std::uint8_t>(value >> 1);
    }
  };
  struct RotateLeft {
    MARIO_INLINE static std::uint8_t of(Cpu& cpu, unsigned value) {
      const unsigned result = value << 1 | cpu.carry;
      cpu.carry = value >> 7;
      return static_cast<std::uint8_t>(result);
    }
  };
  struct RotateRight {
    MARIO_INLINE static std::uint8_t of(Cpu& cpu, unsigned value) {
      const unsigned result = value >> 1 | cpu.carry << 7;
      cpu.carry = value & 1u;
      return static_cast<std::uint8_t>(result);
    }
  };
  struct Increment {
    MARIO_INLINE static std::uint8_t of(Cpu&, unsigned value) {
      return static_cast<std::uint8_t>(value + 1);
    }
  };
  struct Decrement {
    MARIO_INLINE static std::uint8_t of(Cpu&, unsigned value) {
      return static_cast<std::uint8_t>(value - 1);
    }
  };

  template <class Operation>
  MARIO_INLINE void modify_a() {
    ++pc;
    spend(2);
    load(a, Operation::of(*this, a));
  }
  template <class Operation>
  MARIO_INLINE void modify_zero_page(std::uint32_t address, int cycles) {
    spend(cycles);
    const std::uint8_t value = Operation::of(*this, ram[address]);
    set_nz(value);
    ram[address] = value;
  }
  template <class Operation>
  MARIO_INLINE void modify(std::uint32_t address, int cycles) {
    spend(cycles);
    address &= 0xffffu;
    const std::uint8_t value = Operation::of(*this, read(address, cycles));
    set_nz(value);
    write(address, value, cycles);
  }
  template <class Operation>
  MARIO_INLINE void modify_absolute_x() {
    const std::uint32_t base = absolute();
    const int penalty = T::kReadModifyWritePagePenalty ? crosses(base, x) : 0;
    modify<Operation>(base + x, 7 + penalty);
  }

  // ----------------------------------------------------------------------------- control flow

  MARIO_INLINE void implied(int cycles) {
    ++pc;
    spend(cycles);
  }
  MARIO_INLINE void branch(bool taken);
  MARIO_INLINE void branch_on_zero(bool taken);
  MARIO_INLINE void jump();
  MARIO_INLINE void call();
  MARIO_INLINE void return_from_call();
  MARIO_INLINE void return_from_interrupt();
  MARIO_INLINE void jump_indirect();
  MARIO_INLINE void software_interrupt();

  // ----------------------------------------------------------------------------- instructions

  static MARIO_INLINE std::uint8_t byte(unsigned value) { return static_cast<std::uint8_t>(value); }

#define MARIO_OP(opcode, ...) \
  MARIO_INLINE void execute(Opcode<0x##opcode>) { __VA_ARGS__; }
#include "opcodes.inc"
#undef MARIO_OP
  // All others. Those that halt the chip stand still.
  template <unsigned kCode>
  MARIO_INLINE void execute(Opcode<kCode>) {
    constexpr int kCycles = unofficial_cycles(kCode);
    pc += kCycles ? instruction_length(kCode) : 0;
    spend(kCycles ? kCycles : 2);
  }

  Console<T>& console_;
  std::uint8_t* const ram;
  const std::uint8_t* const image;
  // As wide as an index, so that none needs widening on every use; all hold what their names say.
  std::uint64_t pc = 0;
  std::uint32_t a = 0, x = 0, y = 0, sp = 0;
  unsigned carry = 0;      // 0 or 1
  bool overflow = false;
  unsigned nz = 0;
  unsigned rest = 0;       // the flags that nothing computes
  int left = 0;
};

template <class T, bool kFromRom>
MARIO_INLINE void Cpu<T, kFromRom>::branch(bool taken) {
  const std::uint64_t next = pc + 2;
  if (!taken) {
    pc = next;
    spend(2);
    return;
  }
  const auto offset = static_cast<std::int8_t>(code(pc + 1));
  const std::uint64_t target = (next + static_cast<std::uint64_t>(offset)) & 0xffffu;
  spend(3 + ((target ^ next) & 0xff00u ? T::kBranchPageCycles : 0));
  pc = target;
}

// BNE and BEQ: the game waits for sprite 0 in a loop of LDA $2002, AND #$40 and one of these.
template <class T, bool kFromRom>
MARIO_INLINE void Cpu<T, kFromRom>::branch_on_zero(bool taken) {
  const std::uint64_t next = pc + 2;
  branch(taken);
  if (kFromRom && taken && next - pc == 7 && image[pc] == 0xad) {
    const int cycles = 9 + ((pc ^ next) & 0xff00u ? T::kBranchPageCycles : 0);
    left -= console_.idle_dots(static_cast<std::uint32_t>(pc), cycles * 3, left, zero());
  }
}

template <class T, bool kFromRom>
MARIO_INLINE void Cpu<T, kFromRom>::jump() {
  const std::uint64_t target = code16(pc + 1);
  spend(3);
  // JMP to itself: nothing happens until the next event.
  if (target == pc && left > 0) left -= (left - 1) / 9 * 9;
  pc = target;
}

template <class T, bool kFromRom>
MARIO_INLINE void Cpu<T, kFromRom>::call() {
  const std::uint64_t target = code16(pc + 1);
  push((pc + 2) >> 8);
  push(pc + 2);
  pc = target;
  spend(6);
}

template <class T, bool kFromRom>
MARIO_INLINE void Cpu<T, kFromRom>::return_from_call() {
  const std::uint32_t low = pull();
  pc = ((low | static_cast<std::uint32_t>(pull()) << 8) + 1) & 0xffffu;
  spend(6);
}

template <class T, bool kFromRom>
MARIO_INLINE void Cpu<T, kFromRom>::return_from_interrupt() {
  set_status(restored_status<T>(pull()));
  const std::uint32_t low = pull();
  pc = low | static_cast<std::uint32_t>(pull()) << 8;
  spend(6);
}

// The upper byte comes from the same page: the 6502 does not carry.
template <class T, bool kFromRom>
MARIO_INLINE void Cpu<T, kFromRom>::jump_indirect() {
  const std::uint32_t at = code16(pc + 1);
  spend(5);
  const std::uint32_t low = read(at, 5);
  pc = low | static_cast<std::uint32_t>(read((at & 0xff00u) | ((at + 1) & 0xffu), 5)) << 8;
}

template <class T, bool kFromRom>
MARIO_INLINE void Cpu<T, kFromRom>::software_interrupt() {
  push((pc + 2) >> 8);
  push(pc + 2);
  push(pushed_status<T>(status(), true));
  rest |= kInterrupt;
  pc = image[0xfffe] | static_cast<std::uint32_t>(image[0xffff]) << 8;
  spend(T::kBrkCycles);
}

}  // namespace mario
