// The definitions of Console, for the one file of each timing that builds it: the instructions take
// a compiler ten seconds a timing, so that two cores build them side by side.
#pragma once

#include <algorithm>
#include <cstring>

#include "console.hpp"
#include "dispatch.hpp"
#include "status.hpp"
#include "timing.hpp"

namespace mario {

constexpr int kCpuDots = 3;
constexpr int kNmiVector = 0xfffa;
constexpr int kResetVector = 0xfffc;

inline std::uint16_t vector_at(const Cartridge& cartridge, int address) {
  return static_cast<std::uint16_t>(cartridge.image()[address] |
                                    cartridge.image()[address + 1] << 8);
}

template <class T>
void Console<T>::power_on() {
  std::memset(&s_, 0, sizeof s_);
  s_.pc = vector_at(cartridge_, kResetVector);
  s_.sp = 0xfd;
  s_.p = T::kReversedStatus ? kOne | kDecimal | kInterrupt : kOne | kInterrupt;
  s_.mask = T::kPowerOnMask;
  s_.strobe = T::kConsoleBus ? 0 : 1;
  s_.ppu_pos = T::kPowerOnDot;
  s_.frame_end = T::kFrameDots ? T::kPowerOnDot : 0;
  // The first CPU cycle follows the first three dots; cycles are counted from one.
  s_.now = T::kPowerOnDot + kCpuDots;
  s_.dot_phase = static_cast<std::uint8_t>((kCpuDots - s_.now % 6 + 6) % 6);
}

template <class T>
void Console<T>::run_frame(Picture* picture) {
  if constexpr (T::kFrameDots != 0) s_.frame_end += T::kFrameDots;
  frame_done_ = false;
  ppu_.draw_into(picture);
  if (s_.nmi_pending) take_nmi();
  do {
    event_ = next_event();
    while (s_.now < event_) {
      run_rom(*this, cartridge_.handlers());
      // It came back early: the program counter has left the ROM.
      if (s_.now < event_) Cpu<T, false>::run(*this);
    }
  } while (!handle_event());
  ppu_.finish_drawing();
  s_.has_frame = 1;
}

template <class T>
int Console<T>::next_event() const {
  const int vblank = ppu_.vblank_dot() + T::kNmiLatency;
  return T::kFrameDots ? std::min(vblank, s_.frame_end + 1) : vblank;
}

template <class T>
bool Console<T>::handle_event() {
  if (s_.now >= kLongFrame - 1 + T::kNmiLatency) {
    ppu_.catch_up(kSkipDecision + 1);  // from there on the length of the frame is known
    const int vblank = ppu_.vblank_dot();
    const bool due = s_.now >= vblank + T::kNmiLatency;
    if (due && (T::kFrameDots == 0 || vblank < s_.frame_end)) {
      synchronise(vblank + 1);
      s_.now -= vblank;
    }
  }
  if constexpr (T::kFrameDots == 0) {
    if (frame_done_) return true;
  } else if (s_.now > s_.frame_end) {
    if (!s_.nmi_pending) {
      ppu_.catch_up(s_.frame_end);
      return true;
    }
  }
  if (s_.nmi_pending) take_nmi();
  return false;
}

template <class T>
int Console<T>::synchronise(int dot) {
  if (dot >= kLongFrame) {
    ppu_.catch_up(kSkipDecision + 1);
    const int vblank = ppu_.vblank_dot();
    if (dot > vblank) {
      ppu_.catch_up(vblank);
      enter_vblank();
      dot -= vblank;
    }
  }
  ppu_.catch_up(dot);
  return dot;
}

template <class T>
void Console<T>::enter_vblank() {
  const int length = ppu_.vblank_dot();
  event_ -= length;
  s_.frame_end -= T::kFrameDots ? length : 0;
  s_.dot_phase = static_cast<std::uint8_t>((s_.dot_phase + length) % 6);
  ppu_.begin_vblank();
  frame_done_ = true;
}

template <class T>
int Console<T>::idle_dots(std::uint32_t loop, int iteration, int left, bool seen_clear) {
  static constexpr std::uint8_t kWait[] = {0xad, 0x02, 0x20, 0x29, 0x40};  // LDA $2002, AND #$40
  if (left <= 0 || std::memcmp(cartridge_.image() + loop, kWait, sizeof kWait) != 0) return 0;
  const bool clear = !(s_.status & kStatusHit);
  if (clear != seen_clear) return 0;          // it has changed since the read
  if (s_.status & kStatusBlank) return 0;     // the next read changes this flag
  const int read = event_ - left + (T::kAccessOnFirstCycle ? 0 : 9);  // the next read of $2002
  // Nothing changes for reads up to the dot at which the flag does.
  int change = kNever;
  if (clear) {
    change = ppu_.next_hit();
  } else if (s_.ppu_pos <= kPreRender) {
    change = kPreRender;
  }
  const int to_change = change < read ? 0 : (change - read) / iteration + 1;
  const int count = std::min(to_change, (left - 1) / iteration);
  if (count > 0) ppu_.read_register(2);  // the last of the reads; all give the same
  return count * iteration;
}

template <class T>
void Console<T>::take_nmi() {
  s_.nmi_pending = 0;
  push(static_cast<std::uint8_t>(s_.pc >> 8));
  push(static_cast<std::uint8_t>(s_.pc));
  push(pushed_status<T>(s_.p, false));
  s_.p |= kInterrupt;
  s_.pc = vector_at(cartridge_, kNmiVector);
  s_.now += 7 * kCpuDots;
}

// ------------------------------------------------------------------------------------- the bus

template <class T>
std::uint8_t Console<T>::read(std::uint16_t address, int dot) {
  if (address < 0x2000) return s_.ram[address % kRamSize];
  return address < 0x8000 ? read_io(address, dot) : cartridge_.image()[address];
}

template <class T>
std::uint8_t Console<T>::read_io(std::uint16_t address, int dot) {
  if (address < 0x4000) {
    dot = synchronise(dot);
    if (T::kConsoleBus && (address & 7) == 2) settle_vblank_race(dot);
    return ppu_.read_register(address & 7);
  }
  if (address == 0x4016) return read_joypad(0);
  if (address == 0x4017) return read_joypad(1);
  // Nothing answers: the lines keep the last byte of the instruction, its upper address byte.
  return T::kConsoleBus && address != 0x4015 ? static_cast<std::uint8_t>(address >> 8) : 0;
}

template <class T>
int Console<T>::write_io(std::uint16_t address, std::uint8_t value, int dot, int left) {
  if (address < 0x4000) {
    synchronise(dot);
    if (ppu_.write_register(address & 7, value)) {
      // An NMI raised on the last cycle is taken after one more instruction.
      s_.nmi_pending = 1;
      if (left > 1) {
        event_ -= left - 1;
        return 1;
      }
    }
  } else if (address == 0x4014) {
    return left - copy_sprites(value, dot);
  } else if (address == 0x4016) {
    strobe(value);
  }
  return left;  // sound registers are accepted; there is no sound, and no interrupt from it
}

// $2002 read just as the flag rises: a dot early hides it for the whole frame, and within two dots
// of it the NMI is lost (NESdev wiki, "PPU frame timing").
template <class T>
void Console<T>::settle_vblank_race(int dot) {
  if (s_.ppu_pos > kSkipDecision && dot == ppu_.vblank_dot()) s_.hide_vblank = 1;
  if (frame_done_ && dot <= 2) s_.nmi_pending = 0;
}

// Returns how many dots the CPU stands still.
template <class T>
int Console<T>::copy_sprites(std::uint8_t page, int dot) {
  dot = synchronise(dot);
  if (page < 0x20) {
    ppu_.write_all_oam(s_.ram + page % 8 * 256);
  } else if (page >= 0x80) {
    ppu_.write_all_oam(cartridge_.image() + page * 256);
  }  // from registers, or from nothing: no game does it, and the sprites stay as they are
  const int odd_cycle = (s_.dot_phase + dot) % 6 >= kCpuDots;
  return (513 + odd_cycle) * kCpuDots;
}

template <class T>
std::uint8_t Console<T>::read_joypad(int port) {
  if (s_.strobe) return static_cast<std::uint8_t>(0x40 | (s_.buttons[port] & 1));
  const auto value = static_cast<std::uint8_t>(0x40 | (s_.shift[port] & 1));
  s_.shift[port] = static_cast<std::uint8_t>(s_.shift[port] >> 1 | (T::kConsoleBus ? 0x80 : 0));
  return value;
}

template <class T>
void Console<T>::strobe(std::uint8_t value) {
  s_.strobe = value & 1;
  if (!s_.strobe) std::memcpy(s_.shift, s_.buttons, sizeof s_.shift);
}

}  // namespace mario
