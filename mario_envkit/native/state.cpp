#include "state.hpp"

#include <cstring>

#include "ppu.hpp"

namespace mario {

namespace {

// Calls `field` with every field of a state, in the order in which they are written.
template <class S, class Field>
void visit(S& s, Field&& field) {
  field(s.ram), field(s.vram), field(s.oam), field(s.palette);
  field(s.now), field(s.ppu_pos), field(s.frame_end);
  field(s.pc), field(s.v), field(s.t);
  field(s.a), field(s.x), field(s.y), field(s.sp), field(s.p), field(s.nmi_pending);
  field(s.fine_x), field(s.second_write), field(s.ctrl), field(s.mask), field(s.status);
  field(s.oam_addr), field(s.read_buffer), field(s.io_latch), field(s.odd_frame);
  field(s.skipped_dot), field(s.dot_phase), field(s.top_count);
  field(s.top_sprites), field(s.buttons), field(s.shift);
  field(s.strobe), field(s.has_frame), field(s.hide_vblank), field(s.reserved);
}

struct Writer {
  std::uint8_t* at;
  template <std::size_t n>
  void operator()(const std::uint8_t (&array)[n]) {
    std::memcpy(at, array, n);
    at += n;
  }
  template <class Value>
  void operator()(const Value& value) {
    const auto bits = static_cast<std::uint32_t>(value);
    for (unsigned i = 0; i < sizeof value; ++i) *at++ = static_cast<std::uint8_t>(bits >> (8 * i));
  }
};

struct Reader {
  const std::uint8_t* at;
  template <std::size_t n>
  void operator()(std::uint8_t (&array)[n]) {
    std::memcpy(array, at, n);
    at += n;
  }
  template <class Value>
  void operator()(Value& value) {
    std::uint32_t bits = 0;
    for (unsigned i = 0; i < sizeof value; ++i) bits |= static_cast<std::uint32_t>(*at++) << (8 * i);
    value = static_cast<Value>(bits);
  }
};

// The name of a field that no machine can have, or nullptr. The bounds are what keeps every index
// inside its array and every frame finite.
const char* impossible_field(const State& s) {
  const auto within = [](int value, int low, int high) { return low <= value && value <= high; };
  // The longest thing between two events is an instruction with a sprite copy: 530 cycles.
  constexpr int kOverrun = 530 * 3;
  if (!within(s.ppu_pos, 0, kLongFrame)) return "PPU position";
  if (!within(s.now, 0, kLongFrame + kOverrun)) return "CPU position";
  if (!within(s.frame_end, 0, kLongFrame)) return "frame boundary";
  if (s.skipped_dot > 1 || s.odd_frame > 1 || s.dot_phase > 5) return "frame parity";
  if (s.fine_x > 7 || s.second_write > 1 || s.hide_vblank > 1) return "PPU latch";
  if ((s.status & ~(kStatusHit | kStatusBlank)) != 0) return "PPU status";
  if (s.nmi_pending > 1 || s.strobe > 1 || s.has_frame > 1 || s.reserved != 0) return "flag";
  if (s.top_count > 8) return "sprite count";
  for (const std::uint8_t sprite : s.top_sprites) {
    if (sprite > 63) return "sprite number";
  }
  return nullptr;
}

}  // namespace

std::size_t serialized_size() {
  static_assert(sizeof(State) == 4436, "keep visit() complete");
  return 1 + 2 * sizeof(State);
}

void serialize(const State& before, const State& now, std::uint8_t* out) {
  *out++ = kStateFormat;
  Writer writer{out};
  visit(before, writer);
  visit(now, writer);
}

std::vector<std::uint8_t> serialize(const Saved& saved) {
  std::vector<std::uint8_t> bytes(serialized_size());
  serialize(saved.before, saved.now, bytes.data());
  return bytes;
}

std::string deserialize(const std::uint8_t* bytes, std::size_t size, Saved& out) {
  if (size != serialized_size()) {
    return "it has " + std::to_string(size) + " bytes and a machine has " +
           std::to_string(serialized_size());
  }
  if (bytes[0] != kStateFormat) {
    return "its machine has format " + std::to_string(bytes[0]) + " and this version reads " +
           std::to_string(kStateFormat);
  }
  Reader reader{bytes + 1};
  visit(out.before, reader);
  visit(out.now, reader);
  for (const State* state : {&out.before, &out.now}) {
    if (const char* field = impossible_field(*state)) {
      return std::string("its ") + field + " is one that no machine can have";
    }
  }
  return "";
}

}  // namespace mario
