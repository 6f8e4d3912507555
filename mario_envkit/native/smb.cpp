#include "smb.hpp"

#include <algorithm>

namespace mario {

namespace {

constexpr int kEnemyFlags = 0x000f;
constexpr int kEnemyTypes = 0x0016;
constexpr int kEnemySlots = 5, kLiftSlots = 6;
constexpr int kFloatState = 0x001d;
constexpr int kXPage = 0x006d;
constexpr int kXOnPage = 0x0086;
constexpr int kYViewport = 0x00b5;
constexpr int kAreaData = 0x00e7;
constexpr int kLiftContacts = 0x03a2;
constexpr int kYPixel = 0x03b8;
constexpr int kSwimming = 0x0704;
constexpr int kPowerup = 0x0756;
constexpr int kLife = 0x075a;
constexpr int kStage = 0x075c;
constexpr int kWorld = 0x075f;
constexpr int kOperationMode = 0x0770;
constexpr int kScore = 0x07de, kScoreDigits = 6;
constexpr int kCoins = 0x07ed, kCoinDigits = 2;
constexpr int kTime = 0x07f8, kTimeDigits = 3;

constexpr std::uint8_t kStateDying = 0x0b;
constexpr std::uint8_t kJumping = 1, kFalling = 2, kClimbing = 3;
constexpr std::uint8_t kBowser = 0x2d, kFlagpole = 0x31;
constexpr std::uint8_t kLargeLifts = 0x24, kSmallLifts = 0x2b, kBehindLifts = 0x2d;
constexpr std::uint8_t kEndOfWorld = 2;
constexpr std::uint8_t kNoLivesLeft = 0xff;

// Put side by side as text, as 7.4 does: outside play the bytes can exceed 9.
std::int64_t digits(const std::uint8_t* ram, int first, int count) {
  std::int64_t number = 0;
  for (int i = 0; i < count; ++i) {
    const std::int64_t digit = ram[first + i];
    number = number * (digit < 10 ? 10 : digit < 100 ? 100 : 1000) + digit;
  }
  return number;
}

DeathCause killer(const GameState& state) {
  if (state.fallen) return DeathCause::kPit;
  return state.time == 0 ? DeathCause::kClock : DeathCause::kEnemy;
}

bool is_stage_over(const std::uint8_t* ram) {
  if (ram[kFloatState] != kClimbing) return false;
  const std::uint8_t* enemies = ram + kEnemyTypes;
  return std::any_of(enemies, enemies + kEnemySlots,
                     [](std::uint8_t type) { return type == kBowser || type == kFlagpole; });
}

// Whether Mario stands on a lift.
bool is_carried(const std::uint8_t* ram) {
  for (int slot = 0; slot < kLiftSlots; ++slot) {
    const std::uint8_t type = ram[kEnemyTypes + slot];
    if (type < kLargeLifts || type >= kBehindLifts || ram[kEnemyFlags + slot] == 0) continue;
    const std::uint8_t nowhere = type < kSmallLifts ? 0xff : 0;
    if (ram[kLiftContacts + slot] != nowhere) return true;
  }
  return false;
}

}  // namespace

namespace smb {

std::int64_t read_clock(const std::uint8_t* ram) { return digits(ram, kTime, kTimeDigits); }

bool is_busy(const std::uint8_t* ram) {
  const std::uint8_t state = ram[kPlayerState];
  return state <= 0x05 || state == 0x07;
}

bool is_world_over(const std::uint8_t* ram) { return ram[kOperationMode] == kEndOfWorld; }

bool is_dying(const std::uint8_t* ram) {
  return ram[kPlayerState] == kStateDying || ram[kYViewport] > 1;
}

}  // namespace smb

GameState read_state(const std::uint8_t* ram) {
  GameState state;
  state.world = ram[kWorld] + 1;
  state.stage = ram[kStage] + 1;
  state.area = ram[kAreaData] | ram[kAreaData + 1] << 8;
  state.x_pos = static_cast<std::int16_t>(ram[kXPage] << 8 | ram[kXOnPage]);
  state.y_pos = (ram[kYViewport] < 1 ? 510 : 255) - ram[kYPixel];
  state.time = smb::read_clock(ram);
  state.score = digits(ram, kScore, kScoreDigits);
  state.coins = digits(ram, kCoins, kCoinDigits);
  state.life = ram[kLife];
  state.powerup = ram[kPowerup];
  state.world_over = smb::is_world_over(ram);
  state.flag_get = state.world_over || is_stage_over(ram);
  state.dying = smb::is_dying(ram);
  state.dead = ram[smb::kPlayerState] == smb::kStateDead;
  state.fallen = ram[kYViewport] > 1;
  state.busy = smb::is_busy(ram);
  state.game_over = ram[kLife] == kNoLivesLeft;
  const bool in_air = ram[kFloatState] == kJumping || ram[kFloatState] == kFalling;
  state.swimming = ram[kSwimming] != 0;
  state.airborne = !state.swimming && (in_air || is_carried(ram));
  return state;
}

DeathCause death_cause(const GameState& state) {
  return state.dying || state.dead ? killer(state) : DeathCause::kNone;
}

Ending ending_of(const GameState& state, const Stage& level, std::int64_t last_world,
                 bool end_on_exit) {
  if (level.is_full_game()) {
    if (state.world_over && state.world >= last_world) return Ending::kFlag;
    return state.game_over ? static_cast<Ending>(killer(state)) : Ending::kNone;
  }
  if (state.dying || state.dead) return static_cast<Ending>(killer(state));
  const bool elsewhere = Stage{state.world, state.stage} != level;
  if (state.flag_get) return elsewhere ? Ending::kWarp : Ending::kFlag;
  return elsewhere && end_on_exit ? Ending::kWarp : Ending::kNone;
}

}  // namespace mario
