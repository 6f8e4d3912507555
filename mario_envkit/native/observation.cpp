#include "observation.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <stdexcept>
#include <string>

namespace mario {

namespace {

constexpr std::array<std::uint32_t, 64> kRgb = {
    0x7c7c7c, 0x0000fc, 0x0000bc, 0x4428bc, 0x940084, 0xa80020, 0xa81000, 0x881400,
    0x503000, 0x007800, 0x006800, 0x005800, 0x004058, 0x000000, 0x000000, 0x000000,
    0xbcbcbc, 0x0078f8, 0x0058f8, 0x6844fc, 0xd800cc, 0xe40058, 0xf83800, 0xe45c10,
    0xac7c00, 0x00b800, 0x00a800, 0x00a844, 0x008888, 0x000000, 0x000000, 0x000000,
    0xf8f8f8, 0x3cbcfc, 0x6888fc, 0x9878f8, 0xf878f8, 0xf85898, 0xf87858, 0xfca044,
    0xf8b800, 0xb8f818, 0x58d854, 0x58f898, 0x00e8d8, 0x787878, 0x000000, 0x000000,
    0xfcfcfc, 0xa4e4fc, 0xb8b8f8, 0xd8b8f8, 0xf8b8f8, 0xf8a4c0, 0xf0d0b0, 0xfce0a8,
    0xf8d878, 0xd8f878, 0xb8f8b8, 0xb8f8d8, 0x00fcfc, 0xf8d8f8, 0x000000, 0x000000,
};

constexpr std::array<std::array<std::uint8_t, 3>, 64> split_colours() {
  std::array<std::array<std::uint8_t, 3>, 64> colours{};
  for (std::size_t i = 0; i < 64; ++i) {
    for (std::size_t channel = 0; channel < 3; ++channel) {
      colours[i][channel] = static_cast<std::uint8_t>(kRgb[i] >> (16 - 8 * channel));
    }
  }
  return colours;
}

std::uint8_t luma(const std::array<std::uint8_t, 3>& rgb) {
  return static_cast<std::uint8_t>((299 * rgb[0] + 587 * rgb[1] + 114 * rgb[2] + 500) / 1000);
}

std::uint8_t contrast(std::size_t slot, const std::array<std::uint8_t, 3>& rgb) {
  if (slot == 0) return 0;
  return static_cast<std::uint8_t>(slot < 16 ? 30 + rgb[0] * 7 / 16 : 150 + rgb[0] * 6 / 16);
}

// Grey by slot, under one palette.
std::array<std::uint8_t, 32> grey_table(const ObservationSpec& spec, const std::uint8_t* palette) {
  if (spec.grey == Grey::kTable) return spec.table;
  std::array<std::uint8_t, 32> table{};
  for (std::size_t slot = 0; slot < 32; ++slot) {
    const auto& rgb = kColours[palette[slot] & 0x3fu];
    table[slot] = spec.grey == Grey::kLuma ? luma(rgb) : contrast(slot, rgb);
  }
  return table;
}

// Calls draw(out, slots, count, palette) for every stretch of a row that has one palette.
template <class Draw>
void for_each_stretch(const Picture& picture, int crop_top, Draw&& draw) {
  const auto& spans = picture.spans();
  std::size_t span = 0;
  for (int y = crop_top; y < kHeight; ++y) {
    for (int x = 0; x < kWidth;) {
      const int position = y * kWidth + x;
      while (span + 1 < spans.size() && spans[span + 1].begin <= position) ++span;
      const int next = span + 1 < spans.size() ? spans[span + 1].begin : kHeight * kWidth;
      const int count = std::min(kWidth - x, next - position);
      draw(position - crop_top * kWidth, picture.row(y) + x, count, span);
      x += count;
    }
  }
}

}  // namespace

const std::array<std::array<std::uint8_t, 3>, 64> kColours = split_colours();

Observer::Axis Observer::make_axis(int source, int target, int multiple) {
  // Source pixel i covers [i * target, (i + 1) * target), target pixel o covers
  // [o * source, (o + 1) * source) of a common ruler; the weight is what they share.
  const int divisor = std::gcd(source, target);
  Axis axis{source, target, 1, source / divisor, {}, {}};
  for (int o = 0; o < target; ++o) {
    const int last = ((o + 1) * source - 1) / target;
    axis.taps = std::max(axis.taps, last - o * source / target + 1);
  }
  axis.taps = std::min((axis.taps + multiple - 1) / multiple * multiple, source);
  const int padded = (target + 3) / 4 * 4;
  for (int o = 0; o < padded; ++o) {
    // Every target reads the same number of sources, none beyond the last.
    const int first = std::min(std::min(o, target - 1) * source / target, source - axis.taps);
    axis.first.push_back(first);
    for (int i = first; i < first + axis.taps; ++i) {
      const int upper = std::min((i + 1) * target, (o + 1) * source);
      const int lower = std::max(i * target, o * source);
      axis.weights.push_back(static_cast<std::uint16_t>(std::max(0, upper - lower) / divisor));
    }
  }
  return axis;
}

Observer::Observer(const ObservationSpec& spec) : spec_(spec) {
  const int source_height = kHeight - spec.crop_top;
  if (spec.crop_top < 0 || source_height < 1 || spec.height < 1 || spec.width < 1 ||
      spec.height > source_height || spec.width > kWidth) {
    throw std::invalid_argument("An observation of " + std::to_string(spec.height) + " x " +
                                std::to_string(spec.width) + " with " +
                                std::to_string(spec.crop_top) +
                                " rows cut off is not possible: pictures are only made smaller.");
  }
  whole_ = spec.width == kWidth && spec.height == source_height;
  rows_ = make_axis(source_height, spec.height, 2);
  columns_ = make_axis(kWidth, spec.width, 4);
  // A sum is at most 255 * total, with total < 2^16: then this multiplication divides exactly, and
  // the reciprocal fits 32 bits.
  const auto total = static_cast<std::uint32_t>(rows_.total * columns_.total);
  divisor_.half = total / 2;
  divisor_.shift = 31;
  for (std::uint32_t rest = total; rest > 1; rest /= 2) ++divisor_.shift;
  const std::uint64_t one = std::uint64_t{1} << divisor_.shift;
  divisor_.reciprocal = static_cast<std::uint32_t>((one + total - 1) / total);
}

std::size_t Observer::size() const {
  return static_cast<std::size_t>(spec_.height) * static_cast<std::size_t>(spec_.width) *
         static_cast<std::size_t>(channels());
}

void Observer::observe(const Picture& picture, std::uint8_t* out) const {
  if (spec_.grey == Grey::kNone) {
    observe_rgb(picture, out);
  } else {
    observe_grey(picture, out);
  }
}

void Observer::observe_grey(const Picture& picture, std::uint8_t* out) const {
  std::uint8_t image[kHeight * kWidth];
  std::uint8_t* const target = whole_ ? out : image;
  std::array<std::uint8_t, 32> table{};
  std::size_t prepared = picture.spans().size();
  for_each_stretch(picture, spec_.crop_top,
                   [&](int at, const std::uint8_t* slots, int count, std::size_t span) {
                     if (span != prepared) {
                       table = grey_table(spec_, picture.spans()[span].palette);
                       prepared = span;
                     }
                     simd::look_up(slots, count, table.data(), target + at);
                   });
  if (!whole_) resize_grey(image, out);
}

void Observer::resize_grey(const std::uint8_t* source, std::uint8_t* out) const {
  const bool small = rows_.total <= 128;  // 255 * 128 < 2^15
  std::uint16_t sums[kWidth];             // at most 255 * 240: fits
  const std::uint16_t* weights = rows_.weights.data();
  for (int y = 0; y < rows_.target; ++y, weights += rows_.taps, out += columns_.target) {
    const std::uint8_t* rows = source + rows_.first[static_cast<std::size_t>(y)] * kWidth;
    simd::weigh_rows(rows, kWidth, weights, rows_.taps, rows_.total, kWidth, sums);
    simd::weigh_columns(sums, columns_.first.data(), columns_.weights.data(), columns_.taps,
                        columns_.target, small, divisor_, out);
  }
}

void Observer::observe_rgb(const Picture& picture, std::uint8_t* out) const {
  std::vector<std::uint8_t> image;
  if (!whole_) image.resize(static_cast<std::size_t>((kHeight - spec_.crop_top) * kWidth * 3));
  std::uint8_t* const target = whole_ ? out : image.data();
  std::array<std::uint8_t, 3> colours[32] = {};
  std::size_t prepared = picture.spans().size();
  for_each_stretch(picture, spec_.crop_top,
                   [&](int at, const std::uint8_t* slots, int count, std::size_t span) {
                     if (span != prepared) {
                       const std::uint8_t* palette = picture.spans()[span].palette;
                       for (int i = 0; i < 32; ++i) colours[i] = kColours[palette[i] & 0x3fu];
                       prepared = span;
                     }
                     std::uint8_t* pixel = target + at * 3;
                     for (int i = 0; i < count; ++i, pixel += 3) {
                       std::memcpy(pixel, colours[slots[i] & 31].data(), 3);
                     }
                   });
  if (!whole_) resize_rgb(image.data(), out);
}

// Channel by channel, as grey is.
void Observer::resize_rgb(const std::uint8_t* source, std::uint8_t* out) const {
  const std::size_t pixels = static_cast<std::size_t>(rows_.source * kWidth);
  std::vector<std::uint8_t> plane(pixels);
  std::vector<std::uint8_t> small(static_cast<std::size_t>(spec_.height * spec_.width));
  for (std::size_t channel = 0; channel < 3; ++channel) {
    for (std::size_t i = 0; i < pixels; ++i) plane[i] = source[i * 3 + channel];
    resize_grey(plane.data(), small.data());
    for (std::size_t i = 0; i < small.size(); ++i) out[i * 3 + channel] = small[i];
  }
}

}  // namespace mario
