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

std::array<std::array<std::uint8_t, 3>, 64> split_colours() {
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

Observer::Axis Observer::make_axis(int source, int target) {
  // Source pixel i covers [i * target, (i + 1) * target), target pixel o covers
  // [o * source, (o + 1) * source) of a common ruler; the weight is what they share.
  const int divisor = std::gcd(source, target);
  Axis axis{source, target, 1, source / divisor, {}, {}};
  for (int o = 0; o < target; ++o) {
    const int first = o * source / target;
    const int last = ((o + 1) * source - 1) / target;
    axis.first.push_back(first);
    axis.taps = std::max(axis.taps, last - first + 1);
  }
  for (int o = 0; o < target; ++o) {
    // Every target reads the same number of sources, none beyond the last.
    int& first = axis.first[static_cast<std::size_t>(o)];
    first = std::min(first, source - axis.taps);
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
  rows_ = make_axis(source_height, spec.height);
  columns_ = make_axis(kWidth, spec.width);
  // Division by `total` as a multiplication: exact, as sums are below 2^24 and totals below 2^16.
  const auto total = static_cast<std::uint64_t>(rows_.total) *
                     static_cast<std::uint64_t>(columns_.total);
  reciprocal_ = ((std::uint64_t{1} << 40) + total - 1) / total;
}

std::size_t Observer::size() const {
  return static_cast<std::size_t>(spec_.height) * static_cast<std::size_t>(spec_.width) *
         static_cast<std::size_t>(channels());
}

void Observer::observe(const Picture& picture, std::uint8_t* out) const {
  const bool whole = spec_.width == kWidth && spec_.height == kHeight - spec_.crop_top;
  std::vector<std::uint8_t> image;
  std::uint8_t* target = out;
  if (!whole) {
    image.resize(static_cast<std::size_t>((kHeight - spec_.crop_top) * kWidth * channels()));
    target = image.data();
  }
  if (spec_.grey == Grey::kNone) {
    for_each_stretch(picture, spec_.crop_top, [&](int at, const std::uint8_t* slots, int count,
                                                  std::size_t span) {
      const std::uint8_t* palette = picture.spans()[span].palette;
      std::uint8_t* pixel = target + at * 3;
      for (int i = 0; i < count; ++i, pixel += 3) {
        std::memcpy(pixel, kColours[palette[slots[i] & 31] & 0x3fu].data(), 3);
      }
    });
  } else {
    std::vector<std::array<std::uint8_t, 32>> tables;
    for (const auto& span : picture.spans()) tables.push_back(grey_table(spec_, span.palette));
    for_each_stretch(picture, spec_.crop_top, [&](int at, const std::uint8_t* slots, int count,
                                                  std::size_t span) {
      const auto& table = tables[span];
      for (int i = 0; i < count; ++i) target[at + i] = table[slots[i] & 31u];
    });
  }
  if (!whole) resize(target, channels(), out);
}

void Observer::resize(const std::uint8_t* source, int channels, std::uint8_t* out) const {
  const auto width = static_cast<std::size_t>(kWidth * channels);
  const auto lanes = static_cast<std::size_t>(channels);
  const std::uint32_t total = static_cast<std::uint32_t>(rows_.total * columns_.total);
  std::uint16_t sums[kWidth * 3];  // at most 255 * 240: fits
  for (int o = 0; o < rows_.target; ++o) {
    const std::uint16_t* weights = &rows_.weights[static_cast<std::size_t>(o * rows_.taps)];
    std::memset(sums, 0, sizeof sums);
    for (int k = 0; k < rows_.taps; ++k) {
      const std::uint8_t* row =
          source + static_cast<std::size_t>(rows_.first[static_cast<std::size_t>(o)] + k) * width;
      const std::uint16_t weight = weights[k];
      if (weight == 0) continue;
      for (std::size_t x = 0; x < width; ++x) {
        sums[x] = static_cast<std::uint16_t>(sums[x] + weight * row[x]);
      }
    }
    const std::uint16_t* across = columns_.weights.data();
    for (int p = 0; p < columns_.target; ++p, across += columns_.taps) {
      const std::uint16_t* from =
          sums + static_cast<std::size_t>(columns_.first[static_cast<std::size_t>(p)]) * lanes;
      for (std::size_t channel = 0; channel < lanes; ++channel) {
        std::uint32_t sum = total / 2;
        for (int k = 0; k < columns_.taps; ++k) {
          sum += static_cast<std::uint32_t>(across[k]) *
                 from[static_cast<std::size_t>(k) * lanes + channel];
        }
        *out++ = static_cast<std::uint8_t>((sum * reciprocal_) >> 40);
      }
    }
  }
}

}  // namespace mario
