// The two timings of one machine, as compile-time policies.
//
// Positions are dots (a third of a CPU cycle), counted from the last setting of the vertical-blank
// flag, which is dot 0. "Offset" is the position within one of the 262 lines, 0 to 340; pixel x of
// a visible line is drawn at offset x.
#pragma once

namespace mario {

// A 2C02 and a 2A03 as in the console, as far as a game of this cartridge can tell.
// Sources: NESdev wiki, "PPU rendering", "PPU scrolling", "CPU", "Cycle reference chart".
struct ConsoleTiming {
  static constexpr const char* kCore = "native/console";

  // A frame ends when vertical blank begins.
  static constexpr int kFrameDots = 0;
  // I/O takes place on the last cycle of an instruction.
  static constexpr bool kAccessOnFirstCycle = false;
  // An interrupt must be there before the last cycle of an instruction to be taken after it.
  static constexpr int kNmiLatency = 4;
  static constexpr int kBranchPageCycles = 1;
  static constexpr bool kReadModifyWritePagePenalty = false;
  static constexpr int kBrkCycles = 7;
  static constexpr bool kReversedStatus = false;

  static constexpr int kIncrementYOffset = 255;
  static constexpr int kCopyXOffset = 256;
  static constexpr int kCopyYFirst = 279;
  // What `v` does needs either layer on.
  static constexpr bool kEitherLayerMovesV = true;
  // Column moves follow the screen, whatever the fine scroll (the tiles are fetched ahead).
  static constexpr bool kColumnsFollowFineX = false;
  // Sprite 0 never hits in the last column.
  static constexpr int kHitColumns = 255;
  static constexpr bool kSpritesWrapToTop = false;
  // Undriven data lines keep the last byte; palette mirrors, 14-bit addresses, "1" after 8 reads
  // of a joypad, the grey bit of $2001.
  static constexpr bool kConsoleBus = true;
  // The mask register at power-on, and the dot at which the machine wakes.
  static constexpr unsigned char kPowerOnMask = 0;
  static constexpr int kPowerOnDot = 6820;
};

// nes-py 8.2.1, bit for bit, including where it differs from the console.
struct NesPyTiming {
  static constexpr const char* kCore = "native/nes-py";

  // 29,781 CPU cycles a step: 1.5 dots more than a frame of the console, so the boundary drifts.
  static constexpr int kFrameDots = 29781 * 3;
  // A whole instruction takes effect on its first cycle.
  static constexpr bool kAccessOnFirstCycle = true;
  static constexpr int kNmiLatency = 1;
  static constexpr int kBranchPageCycles = 2;
  static constexpr bool kReadModifyWritePagePenalty = true;
  static constexpr int kBrkCycles = 14;
  static constexpr bool kReversedStatus = true;

  static constexpr int kIncrementYOffset = 256;
  static constexpr int kCopyXOffset = 257;
  static constexpr int kCopyYFirst = 280;
  // `v` moves with the background on, and is reloaded from `t` with both layers on.
  static constexpr bool kEitherLayerMovesV = false;
  static constexpr bool kColumnsFollowFineX = true;
  static constexpr int kHitColumns = 256;
  // Sprites at Y 232 to 239 appear, garbled, on row 0 of the next frame.
  static constexpr bool kSpritesWrapToTop = true;
  static constexpr bool kConsoleBus = false;
  static constexpr unsigned char kPowerOnMask = 0x1e;
  // One dot early: its first pre-render line is one dot longer.
  static constexpr int kPowerOnDot = 6819;
};

}  // namespace mario
