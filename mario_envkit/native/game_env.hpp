// One environment: a machine, the rules of the game, and what wrappers do to a single environment
// in Python (no-op start, frame skip, stall and time limit, frame stack), to the same effect.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <vector>

#include "machine.hpp"
#include "observation.hpp"
#include "reward.hpp"
#include "smb.hpp"

namespace mario {

enum class Observes : std::uint8_t { kPicture, kRam, kTiles };

struct EnvSpec {
  int frame_skip = 1;
  bool max_pool = false;
  Observes observes = Observes::kPicture;  // the others need nothing drawn
  bool show_buttons = false;               // of kTiles
  bool show_level = false;                 // of kTiles
  ObservationSpec picture;
  int frame_stack = 1;
  std::int64_t stall_limit = 0;        // 0: none
  std::int64_t max_episode_steps = 0;  // 0: none
  std::int64_t last_world = 8;         // with whose axe the full game is won
  bool end_on_exit = true;             // whether a warp ends the episode of a single stage
  RewardSpec reward;                   // no terms: rewards are worked out elsewhere
};

// An EnvSpec made ready; const, shared by all environments.
struct EnvPlan {
  explicit EnvPlan(const EnvSpec& env_spec);

  EnvSpec spec;
  Observer observer;
  std::size_t observation_size;  // bytes of one, before stacking
};

// Where an episode begins.
struct Start {
  Saved machine;
  Stage level;  // a single stage, or the full game
};

// What one step or reset led to.
struct Outcome {
  GameState state;  // after the last frame, before anything was skipped
  std::int64_t frame = 0;
  std::int64_t stages_cleared = 0;
  DeathCause cause = DeathCause::kNone;
  Ending ending = Ending::kNone;
  bool flag_get = false;  // this and the next: in any frame of the step
  bool died = false;
  bool terminated = false;
  bool truncated = false;
  double reward = 0;
};

// The frames of a step, for rewards that are worked out elsewhere.
struct History {
  GameState* rows = nullptr;  // nullptr: nobody wants them
  int used = 0;

  void add(const GameState& state) {
    if (rows) rows[used++] = state;
  }
};

// What an environment remembers besides its machine, its reward's memory and its observations.
struct Progress {
  struct Place {
    std::int64_t world, stage, area;
    bool operator!=(const Place& other) const {
      return world != other.world || stage != other.stage || area != other.area;
    }
  };

  Stage level{};                        // of the episode
  int newest = 0;                       // slot of the latest observation in the stack
  std::int64_t frames = 0;              // since the level began
  Stage now{};                          // in which `frames` counts
  bool flag_seen = false;               // of that stage
  std::int64_t stages_cleared = 0;      // in this episode
  Place furthest{};
  std::int64_t best_x = 0, stalled = 0, elapsed = 0;
};
static_assert(std::is_trivially_copyable_v<Progress>);

// An environment between two steps: everything that its future depends on.
struct SavedEnv {
  Saved machine;
  Progress progress;
  RewardState reward;
  std::vector<std::uint8_t> stack;
};

// What is held in an agent step: in its first `late` frames still the buttons of the step before.
struct Press {
  std::uint8_t buttons = 0;
  std::uint8_t before = 0;
  int late = 0;
};

// Thrown when the game does not come back to a state in which it can be played.
struct GameStuck {};

template <class Timing>
class GameEnv {
 public:
  // `stack`: room for frame_stack observations.
  GameEnv(std::shared_ptr<const Cartridge> cartridge, const EnvPlan& plan, std::uint8_t* stack);

  // Begins an episode, then does nothing for `noops` frames. Returns how many of these are left to
  // do if one of them ended the episode, else -1.
  int reset(const Start& start, int noops, History& history);

  // One agent step. `scratch`: room for one observation.
  void step(const Press& press, std::uint8_t* scratch, History& history);

  const Outcome& outcome() const { return outcome_; }
  const std::vector<double>& parts() const { return parts_; }

  // Oldest observation first.
  void copy_stack(std::uint8_t* out) const;

  Machine<Timing>& machine() { return machine_; }
  const Machine<Timing>& machine() const { return machine_; }

  // Between steps. Filling the same SavedEnv again allocates nothing. Load only what an environment
  // of the same plan saved; outcome() and parts() stay those of the last step.
  void save(SavedEnv& out) const;
  void load(const SavedEnv& saved);

  // Puts back what copy_stack() wrote.
  void show(const std::uint8_t* stack);

 private:
  // One frame with `buttons`, and what follows from it; true: the episode is over.
  bool play_frame(std::uint8_t buttons, bool draw, History& history);
  void take_control();
  void observe(std::uint8_t* out);
  void apply_limits();
  std::uint8_t* newest() { return stack_ + static_cast<std::size_t>(progress_.newest) * size(); }
  std::size_t size() const { return plan_.observation_size; }

  std::size_t stack_size() const {
    return size() * static_cast<std::size_t>(plan_.spec.frame_stack);
  }
  Progress::Place place() const {
    return {outcome_.state.world, outcome_.state.stage, outcome_.state.area};
  }

  const EnvPlan& plan_;
  Machine<Timing> machine_;
  Progress progress_;
  RewardState reward_;
  std::vector<double> parts_, frame_parts_;
  Outcome outcome_;
  std::uint8_t* stack_;
};

extern template class GameEnv<ConsoleTiming>;
extern template class GameEnv<NesPyTiming>;

}  // namespace mario
