#include "cartridge.hpp"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <string>

#include "fusions.hpp"

namespace mario {

namespace {

constexpr std::size_t kHeader = 16;
constexpr std::size_t kProgramBank = 0x4000;
constexpr std::size_t kPatternBank = 0x2000;
// An instruction that starts on the last byte of memory may read two more, and the next one starts
// right after them.
constexpr std::size_t kPadding = 8;

[[noreturn]] void reject(const std::string& sentence) { throw std::invalid_argument(sentence); }

int mapper_number(const std::uint8_t* header) {
  const bool nes2 = (header[7] & 0x0c) == 0x08;
  // Old tools wrote their name over bytes 7 to 15: then the upper digit of the mapper is not one.
  const bool signature = std::any_of(header + 12, header + 16, [](int byte) { return byte != 0; });
  const int low = header[6] >> 4;
  return nes2 || !signature ? low | (header[7] & 0xf0) : low;
}

void check_header(const std::uint8_t* header) {
  if (header[6] & 0x04) reject("The cartridge image has a 512-byte trainer; use a clean image.");
  if (const int mapper = mapper_number(header); mapper != 0) {
    reject("The cartridge uses mapper " + std::to_string(mapper) +
           " and this console takes NROM (mapper 0) only.");
  }
  if (header[6] & 0x08) reject("The cartridge has four-screen memory, which NROM does not have.");
  if (header[6] & 0x02) reject("The cartridge has battery memory, which is not supported.");
  if (header[4] != 1 && header[4] != 2) {
    reject("The cartridge image has " + std::to_string(header[4]) +
           " program banks of 16 kB; NROM has 1 or 2.");
  }
  if (header[5] != 1) {
    reject("The cartridge image has " + std::to_string(header[5]) +
           " pattern banks of 8 kB; NROM has 1.");
  }
}

}  // namespace

std::shared_ptr<const Cartridge> Cartridge::parse(const std::uint8_t* bytes, std::size_t size) {
  if (size < kHeader || std::memcmp(bytes, "NES\x1a", 4) != 0) {
    reject("These bytes are not an iNES cartridge image: it must start with 'NES' and 0x1A.");
  }
  check_header(bytes);
  const std::size_t program = bytes[4] * kProgramBank;
  const std::size_t wanted = kHeader + program + kPatternBank;
  if (size < wanted) {
    reject("The cartridge image is truncated: its header announces " + std::to_string(wanted) +
           " bytes and there are " + std::to_string(size) + ".");
  }
  const bool vertical = (bytes[6] & 0x01) != 0;
  return std::shared_ptr<const Cartridge>(
      new Cartridge(bytes + kHeader, program, bytes + kHeader + program, vertical));
}

Cartridge::Cartridge(const std::uint8_t* program, std::size_t program_size,
                     const std::uint8_t* patterns, bool vertical_mirroring)
    : image_(0x10000 + kPadding, kTrapOpcode),
      patterns_(patterns, patterns + kPatternBank),
      tiles_(512 * 64),
      flipped_(512 * 64),
      vertical_mirroring_(vertical_mirroring) {
  for (std::size_t at = 0x8000; at < 0x10000; at += program_size) {
    std::copy_n(program, program_size, image_.begin() + static_cast<std::ptrdiff_t>(at));
  }
  handlers_ = find_handlers(image_);
  for (int tile = 0; tile < 512; ++tile) {
    for (int row = 0; row < 8; ++row) {
      const int low = patterns[tile * 16 + row];
      const int high = patterns[tile * 16 + row + 8];
      for (int x = 0; x < 8; ++x) {
        const int bits = ((low >> (7 - x)) & 1) | (((high >> (7 - x)) & 1) << 1);
        const int pixel = bits ? 0x0c | bits : 0;
        const std::size_t at = index(tile, row);
        tiles_[at + static_cast<std::size_t>(x)] = static_cast<std::uint8_t>(pixel);
        flipped_[at + static_cast<std::size_t>(7 - x)] = static_cast<std::uint8_t>(pixel);
      }
    }
  }
}

}  // namespace mario
