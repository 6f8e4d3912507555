#include "tiles.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace mario {

namespace {

enum Tile : std::uint8_t {
  kEmpty, kSolid, kBrick, kQuestion, kPipe, kHidden, kCoin, kVine, kGoal, kPlatform, kSpring,
  kPowerUp, kMario, kFireball, kShell, kEnemy, kFlyer, kSpiky, kHazard, kBowser,
};

constexpr int kPreviousButtons = 0x000d, kEnemyFlag = 0x000f, kEnemyId = 0x0016;
constexpr int kPlayerState = 0x001d, kEnemyState = 0x001e, kFireballState = 0x0024;
constexpr int kMiscState = 0x002a, kFacing = 0x0033, kXSpeed = 0x0057, kXPage = 0x006d;
constexpr int kX = 0x0086, kYSpeed = 0x009f, kSpinState = 0x00a0, kYPage = 0x00b5, kY = 0x00ce;
constexpr int kYForce = 0x0433, kBoxKind = 0x049a, kBlocks = 0x0500, kSwimming = 0x0704;
constexpr int kJoypad = 0x06fc, kButtonsAt = 15 * kTileColumns + 14;
constexpr int kStage = 0x075c, kWorld = 0x075f, kLevelAt = 15 * kTileColumns + 15;
constexpr int kCrouching = 0x0714, kScreenPage = 0x071a, kScreenX = 0x071c, kNextPage = 0x0725;
constexpr int kNextColumn = 0x0726, kAreaType = 0x074e, kSize = 0x0754, kStatus = 0x0756;
constexpr int kHurtTimer = 0x079e, kStarTimer = 0x079f;

constexpr int kEnemies = 1, kFireballs = 7, kMisc = 13;  // first slots
constexpr int kEnemySlots = 6, kFireballSlots = 2, kMiscSlots = 9, kHammersListed = 4;
constexpr int kTop = 32, kPageBytes = kTileRows * 16, kMarioColumn = 4;

constexpr int kGoomba = 0x06, kFlame = 0x15, kFireBar = 0x1b, kLongFireBar = 0x1f;
constexpr int kBowserId = 0x2d;

constexpr std::array<std::uint8_t, 256> metatile_codes() {
  std::array<std::uint8_t, 256> codes{};
  for (std::size_t i = 1; i < 256; ++i) codes[i] = kSolid;
  for (const int i : {0x10, 0x11, 0x1f, 0x6c}) codes[static_cast<std::size_t>(i)] = kPipe;
  for (const int i : {0x24, 0x25, 0xc5}) codes[static_cast<std::size_t>(i)] = kGoal;
  codes[0x26] = kVine;
  codes[0x51] = codes[0x52] = kBrick;
  for (std::size_t i = 0x55; i < 0x5f; ++i) codes[i] = kBrick;
  codes[0x5f] = codes[0x60] = kHidden;
  codes[0xc0] = codes[0xc1] = kQuestion;
  codes[0xc2] = codes[0xc3] = kCoin;
  return codes;
}
constexpr auto kMetatileCodes = metatile_codes();

constexpr std::array<std::uint8_t, 256> enemy_codes() {
  std::array<std::uint8_t, 256> codes{};
  for (std::size_t i = 0; i < 7; ++i) codes[i] = kEnemy;
  for (const int i : {0x05, 0x08, 0x0e, 0x0f, 0x10, 0x11, 0x14, 0x33}) {
    codes[static_cast<std::size_t>(i)] = kFlyer;
  }
  for (const int i : {0x07, 0x0a, 0x0b, 0x0d, 0x12}) codes[static_cast<std::size_t>(i)] = kSpiky;
  codes[0x0c] = codes[kFlame] = kHazard;
  for (std::size_t i = kFireBar; i <= kLongFireBar; ++i) codes[i] = kHazard;
  for (std::size_t i = 0x24; i < 0x2d; ++i) codes[i] = kPlatform;
  codes[kBowserId] = kBowser;
  codes[0x2e] = kPowerUp;
  codes[0x32] = kSpring;
  return codes;
}
constexpr auto kEnemyCodes = enemy_codes();

std::uint8_t to_byte(int value) { return static_cast<std::uint8_t>(std::clamp(value, 0, 255)); }

int to_signed(int byte) { return byte > 127 ? byte - 256 : byte; }

int sine(int step, int radius) {
  constexpr int kQuarter[] = {0, 50, 98, 142, 181, 213, 237, 251, 256};
  const int quarter = step & 15;
  const int value = radius * kQuarter[std::min(quarter, 16 - quarter)] >> 8;
  return (step & 31) < 16 ? value : -value;
}

struct Point {
  int x, y;
};

struct Entry {
  std::uint8_t code = kEmpty, dx = 255, dy = 128;
};

class TilePicture {
 public:
  TilePicture(const std::uint8_t* ram, std::uint8_t* out) : ram_(ram), out_(out) {
    std::memset(out_, 0, kTilePictureSize);
    const Point top_left = position(0);
    mario_ = {top_left.x + 8, top_left.y + 32};
    first_column_ = (mario_.x >> 4) - kMarioColumn;
  }

  void draw() {
    draw_blocks();
    put(mario_.x, mario_.y - 8, kMario);
    if (!ram_[kSize] && !ram_[kCrouching]) put(mario_.x, mario_.y - 24, kMario);
    std::uint8_t* const objects = out_ + (kTileRows + 1) * kTileColumns;
    int count = 0;
    const auto list = [&](const Entry& entry) { std::memcpy(objects + 3 * count++, &entry, 3); };
    for (int slot = 0; slot < kEnemySlots; ++slot) list(draw_enemy(slot));
    for (int slot = kMisc; slot < kMisc + kMiscSlots; ++slot) {
      if (!(ram_[kMiscState + slot - kMisc] & 0x80)) continue;
      const Point at = position(slot);
      put(at.x + 4, at.y + 4, kHazard);
      const Entry entry = listed(kHazard, at.x + 4, at.y + 8);
      if (count < kEnemySlots + kHammersListed) list(entry);
    }
    while (count < kEnemySlots + kHammersListed) list(Entry{});
    for (int slot = kFireballs; slot < kFireballs + kFireballSlots; ++slot) {
      const int state = ram_[kFireballState + slot - kFireballs];
      if (state == 0 || state >= 0x80) continue;
      const Point at = position(slot);
      put(at.x + 4, at.y + 4, kFireball);
    }
    write_facts(out_ + kTileRows * kTileColumns);
  }

 private:
  Point position(int slot) const {
    return {to_signed(ram_[kXPage + slot]) * 256 + ram_[kX + slot],
            to_signed((ram_[kYPage + slot] - 1) & 255) * 256 + ram_[kY + slot]};
  }

  void draw_blocks() {
    const int following = ram_[kNextPage] << 4 | (ram_[kNextColumn] & 15);
    for (int column = 0; column < kTileColumns; ++column) {
      const int source = first_column_ + column;
      if (source < 0 || source >= following || following - source > 32) continue;
      const std::uint8_t* blocks =
          ram_ + kBlocks + (source >> 4 & 1) * kPageBytes + (source & 15);
      for (int row = 0; row < kTileRows; ++row) {
        out_[row * kTileColumns + column] = kMetatileCodes[blocks[row * 16]];
      }
    }
  }

  void put(int x, int y, Tile code) {
    const int row = (y - kTop) >> 4, column = (x >> 4) - first_column_;
    if (row < 0 || row >= kTileRows || column < 0 || column >= kTileColumns) return;
    std::uint8_t& cell = out_[row * kTileColumns + column];
    if (cell < kSolid || cell > kPipe) cell = code;
  }

  Entry listed(Tile code, int x, int y) const {
    return {code, to_byte(128 + x - mario_.x), to_byte(128 + y - mario_.y)};
  }

  Tile enemy_code(int slot) const {
    const int flag = ram_[kEnemyFlag + slot], state = ram_[kEnemyState + slot];
    if (!flag || flag & 0x80) return kEmpty;
    const int kind = ram_[kEnemyId + slot];
    const auto code = static_cast<Tile>(kEnemyCodes[static_cast<std::size_t>(kind)]);
    if (code < kEnemy || code > kSpiky) return code;
    if (state & 0x20) return kEmpty;  // defeated
    if (code == kEnemy && !(state & 0x80) && (state & 7) >= 2) {
      return kind == kGoomba ? kEmpty : kShell;
    }
    return code;
  }

  Entry draw_enemy(int slot) {
    const Tile code = enemy_code(slot);
    if (code == kEmpty) return {};
    const int kind = ram_[kEnemyId + slot];
    const auto [x, y] = position(kEnemies + slot);
    if (code == kPlatform) {
      const int box = ram_[kBoxKind + slot];
      const int width = box == 4 ? 24 : box == 5 ? 32 : 48;
      for (int part = 4; part < width; part += 16) put(x + part, y + 4, code);
      return listed(code, x + width / 2, y);
    }
    if (kind >= kFireBar && kind <= kLongFireBar) {
      const int step = ram_[kSpinState + slot] & 31, balls = kind == kLongFireBar ? 12 : 6;
      for (int radius = 0; radius < 8 * balls; radius += 8) {
        put(x + 4 + sine(step, radius), y + 4 - sine(step + 8, radius), code);
      }
      return listed(code, x + 4, y + 8);
    }
    if (kind == kFlame) {
      put(x + 4, y + 4, code);
      put(x + 20, y + 4, code);
      return listed(code, x + 12, y + 8);
    }
    if (kind == kBowserId) {
      for (int part = 0; part < 4; ++part) {
        put(x + 8 + 16 * (part & 1), y + 8 + 8 * (part & 2), code);
      }
      return listed(code, x + 16, y + 32);
    }
    put(x + 8, y + 16, code);
    return listed(code, x + 8, y + 24);
  }

  void write_facts(std::uint8_t* out) const {
    const auto [x, y] = position(0);
    const int left = ram_[kScreenPage] << 8 | ram_[kScreenX];
    const auto flag = [](bool holds) { return static_cast<std::uint8_t>(holds ? 255 : 0); };
    const std::uint8_t facts[] = {
        to_byte(((x + 8) & 15) * 16),
        to_byte((y & 15) * 16),
        to_byte(128 + to_signed(ram_[kXSpeed])),
        to_byte(128 + to_signed(ram_[kYSpeed]) * 16 + (ram_[kYForce] >> 4)),
        to_byte(std::min<int>(ram_[kPlayerState], 3) * 80),
        to_byte(std::min<int>(ram_[kStatus], 2) * 120),
        flag(ram_[kSwimming] != 0),
        to_byte(ram_[kStarTimer] * 16),
        to_byte(ram_[kHurtTimer] * 32),
        flag(ram_[kCrouching] != 0),
        flag(ram_[kFacing] == 1),
        flag((ram_[kPreviousButtons] & 0x80) != 0),
        to_byte(y),
        to_byte(x - left),
        to_byte(x >> 4),
        to_byte(std::min<int>(ram_[kAreaType], 3) * 80),
    };
    static_assert(sizeof facts == kTileColumns, "one row");
    std::memcpy(out, facts, sizeof facts);
  }

  const std::uint8_t* ram_;
  std::uint8_t* out_;
  Point mario_{};  // his middle, and his feet
  int first_column_ = 0;
};

}  // namespace

void read_tiles(const std::uint8_t* ram, std::uint8_t* out, bool show_buttons, bool show_level) {
  TilePicture(ram, out).draw();
  if (show_buttons) out[kButtonsAt] = ram[kJoypad];
  if (show_level) out[kLevelAt] = static_cast<std::uint8_t>(4 * ram[kWorld] + ram[kStage] + 1);
}

}  // namespace mario
