// A picture: for every pixel the slot of palette RAM it shows, and the palettes that were in force.
#pragma once

#include <cstdint>
#include <vector>

namespace mario {

constexpr int kWidth = 256;
constexpr int kHeight = 240;

class Picture {
 public:
  // Rows lie kStride bytes apart: tiles are stored whole, so up to 8 pixels hang over either side.
  static constexpr int kStride = kWidth + 16;

  // From pixel `begin` (256 * y + x) on, up to the next span, colours come from `palette`
  // (6-bit colours).
  struct Span {
    int begin;
    std::uint8_t palette[32];
  };

  Picture() { blacken(); }

  // Slots 0 to 31: 0 backdrop (all transparent), 1-15 background, 17-31 sprites.
  const std::uint8_t* row(int y) const { return pixels_ + y * kStride + 8; }
  std::uint8_t* row(int y) { return pixels_ + y * kStride + 8; }

  // In ascending order, the first at pixel 0; never empty.
  const std::vector<Span>& spans() const { return spans_; }

  // A screen that shows nothing.
  void blacken();

  // How a frame is drawn: begin(), use_palette() before the pixels it applies to, finish().
  void begin() { spans_.clear(); }
  void use_palette(int position, const std::uint8_t* palette);
  // `drawn_to`: the pixel after the last one drawn. Drawing may start anywhere and go once round.
  void finish(int drawn_to);

 private:
  std::vector<Span> spans_;
  std::uint8_t pixels_[kHeight * kStride];
};

}  // namespace mario
