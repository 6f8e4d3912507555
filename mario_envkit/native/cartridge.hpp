// A cartridge of the type NROM (mapper 0): 16 or 32 kB of program, 8 kB of patterns, no chips.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace mario {

// Opcode of an instruction that halts a 6502. Fetch memory outside the ROM is filled with it: the
// interpreter notices there that it has left the ROM, without a test on every jump.
constexpr std::uint8_t kTrapOpcode = 0x02;

class Cartridge {
 public:
  // Reads an iNES image. Throws std::invalid_argument with a sentence on what is wrong.
  static std::shared_ptr<const Cartridge> parse(const std::uint8_t* bytes, std::size_t size);

  // The CPU's 64 kB, ROM in the upper half; padded so that no fetch can leave it.
  const std::uint8_t* image() const { return image_.data(); }

  // For every address of image(): what to do there, an opcode or a fusion (fusions.hpp).
  const std::uint16_t* handlers() const { return handlers_.data(); }

  // Pattern memory as it is, 8 kB.
  const std::uint8_t* patterns() const { return patterns_.data(); }

  // Row 0 to 7 of tile 0 to 511, one byte a pixel, left pixel first; and mirrored. A transparent
  // pixel is 0; an opaque one is its two bits under two set bits, so that one AND with
  // `palette << 2 | 3` makes it a palette slot.
  const std::uint8_t* tile_row(int tile, int row) const { return &tiles_[index(tile, row)]; }
  const std::uint8_t* flipped_row(int tile, int row) const { return &flipped_[index(tile, row)]; }

  bool vertical_mirroring() const { return vertical_mirroring_; }

 private:
  Cartridge(const std::uint8_t* program, std::size_t program_size, const std::uint8_t* patterns,
            bool vertical_mirroring);

  static std::size_t index(int tile, int row) {
    return static_cast<std::size_t>(((tile & 511) * 8 + (row & 7)) * 8);
  }

  std::vector<std::uint8_t> image_;
  std::vector<std::uint16_t> handlers_;
  std::vector<std::uint8_t> patterns_;
  std::vector<std::uint8_t> tiles_;
  std::vector<std::uint8_t> flipped_;
  bool vertical_mirroring_;
};

}  // namespace mario
