// Super Mario Bros: what its work RAM says, and what is skipped of it.
//
// The same as mario_envkit/game/{ram,state,rules}.py, which name every address and its source and
// are what this is tested against.
#pragma once

#include <cstdint>

namespace mario {

// The facts of one frame, in the order of GameState in Python; all of one type, so that a
// GameState is a row of a matrix there.
struct GameState {
  std::int64_t world, stage, area, x_pos, y_pos, time, score, coins, life, powerup;
  std::int64_t flag_get, dying, dead, fallen, busy, world_over, game_over, airborne, swimming;
};
constexpr int kStateFields = 19;
static_assert(sizeof(GameState) == kStateFields * sizeof(std::int64_t), "no padding");

GameState read_state(const std::uint8_t* ram);

// What killed Mario; the order of the names in Python.
enum class DeathCause : std::int64_t { kNone, kEnemy, kPit, kClock };
DeathCause death_cause(const GameState& state);

// How an episode ended; the order of the names in Python (ENDINGS in game/endings.py).
enum class Ending : std::int64_t { kNone, kEnemy, kPit, kClock, kFlag, kWarp };

// A stage, from 1; zeros are the full game.
struct Stage {
  std::int64_t world, stage;

  bool is_full_game() const { return world == 0; }
  bool operator!=(const Stage& other) const {
    return world != other.world || stage != other.stage;
  }
};

// See ending_of() in game/endings.py.
Ending ending_of(const GameState& state, const Stage& level, std::int64_t last_world,
                 bool end_on_exit);

namespace smb {

constexpr int kPlayerState = 0x000e;
constexpr int kChangeAreaTimer = 0x06de;
constexpr int kPrelevelTimer = 0x07a0;
constexpr std::uint8_t kStateDead = 0x06;

// Frames without anything playable after which the game counts as stuck.
constexpr int kPatience = 20000;

std::int64_t read_clock(const std::uint8_t* ram);
bool is_busy(const std::uint8_t* ram);
bool is_world_over(const std::uint8_t* ram);
bool is_dying(const std::uint8_t* ram);

}  // namespace smb

// After a frame that did not end the episode: skips whatever the joypad cannot influence, calling
// `frame` for every frame (with no button held). False: the game does not come back.
template <class Frame>
bool skip_to_control(std::uint8_t* ram, bool single_stage, Frame&& frame) {
  using namespace smb;
  if (is_dying(ram)) {
    ram[kPlayerState] = kStateDead;
    frame();
  }
  if (!single_stage && is_world_over(ram)) {
    const std::int64_t clock = read_clock(ram);
    int waited = 0;
    while (read_clock(ram) == clock) {
      if (waited++ == kPatience) return false;
      frame();
    }
  }
  if (ram[kChangeAreaTimer] > 1 && ram[kChangeAreaTimer] < 255) ram[kChangeAreaTimer] = 1;
  int waited = 0;
  while (is_busy(ram) || is_world_over(ram)) {
    if (waited++ == kPatience) return false;
    ram[kPrelevelTimer] = 0;
    frame();
  }
  return true;
}

}  // namespace mario
