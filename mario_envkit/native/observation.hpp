// From a picture to an observation: crop, grey or RGB, area resize. All in integers, equal to
// mario_envkit/emulator/picture.py, which says what is computed.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "picture.hpp"
#include "simd.hpp"

namespace mario {

enum class Grey : std::uint8_t {
  kNone,      // RGB
  kLuma,      // (299 R + 587 G + 114 B + 500) / 1000
  kContrast,  // backdrop 0, background 30 + 7 R / 16, sprites 150 + 6 R / 16
  kTable,     // `table`, by palette slot
};

struct ObservationSpec {
  int height = kHeight;
  int width = kWidth;
  int crop_top = 0;
  Grey grey = Grey::kNone;
  std::array<std::uint8_t, 32> table{};
};

// Ready to make observations of one kind. Const once built: threads may share it.
class Observer {
 public:
  // Throws std::invalid_argument for sizes that are not possible.
  explicit Observer(const ObservationSpec& spec);

  const ObservationSpec& spec() const { return spec_; }
  int channels() const { return spec_.grey == Grey::kNone ? 3 : 1; }
  // Bytes of one observation: height * width * channels.
  std::size_t size() const;

  // Writes size() bytes, row by row, channels last.
  void observe(const Picture& picture, std::uint8_t* out) const;

 private:
  // Area weights along one axis: target i takes `weights[i * taps + k]` of source `first[i] + k`.
  // Taps are a multiple of `multiple` where the source is long enough; targets are padded with
  // weight 0 to a multiple of 4.
  struct Axis {
    int source = 0, target = 0, taps = 0, total = 0;
    std::vector<int> first;
    std::vector<std::uint16_t> weights;
  };
  static Axis make_axis(int source, int target, int multiple);

  void observe_grey(const Picture& picture, std::uint8_t* out) const;
  void observe_rgb(const Picture& picture, std::uint8_t* out) const;
  void resize_grey(const std::uint8_t* source, std::uint8_t* out) const;
  void resize_rgb(const std::uint8_t* source, std::uint8_t* out) const;

  ObservationSpec spec_;
  Axis rows_, columns_;
  simd::Divisor divisor_;
  bool whole_ = false;  // nothing to resize
};

// The 64 colours that nes-py shows, as R, G, B.
extern const std::array<std::array<std::uint8_t, 3>, 64> kColours;

}  // namespace mario
