#include "picture.hpp"

#include <cstring>

namespace mario {

void Picture::blacken() {
  std::memset(pixels_, 0, sizeof pixels_);
  Span span{0, {}};
  std::memset(span.palette, 0x0f, sizeof span.palette);
  spans_.assign(1, span);
}

void Picture::use_palette(int position, const std::uint8_t* palette) {
  if (!spans_.empty() && spans_.back().begin == position) spans_.pop_back();
  Span span{position, {}};
  std::memcpy(span.palette, palette, sizeof span.palette);
  spans_.push_back(span);
}

void Picture::finish(int drawn_to) {
  std::size_t wrap = 1;  // the first span after drawing went on at the top, if it did
  while (wrap < spans_.size() && spans_[wrap].begin > spans_[wrap - 1].begin) ++wrap;
  if (wrap < spans_.size()) {
    // What was drawn first lies below `drawn_to` now; the rest of it has been drawn over.
    std::size_t keep = 0;
    while (keep + 1 < wrap && spans_[keep + 1].begin <= drawn_to) ++keep;
    if (spans_[keep].begin < drawn_to) spans_[keep].begin = drawn_to;
    std::vector<Span> ordered(spans_.begin() + static_cast<std::ptrdiff_t>(wrap), spans_.end());
    ordered.insert(ordered.end(), spans_.begin() + static_cast<std::ptrdiff_t>(keep),
                   spans_.begin() + static_cast<std::ptrdiff_t>(wrap));
    spans_.swap(ordered);
  }
  if (spans_.empty()) return blacken();
  spans_.front().begin = 0;
}

}  // namespace mario
