#include "game_env.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "tiles.hpp"

namespace mario {

namespace {

std::size_t size_of_one(const EnvSpec& spec, const Observer& observer) {
  if (spec.observes == Observes::kRam) return kRamSize;
  return spec.observes == Observes::kTiles ? kTilePictureSize : observer.size();
}

}  // namespace

EnvPlan::EnvPlan(const EnvSpec& env_spec)
    : spec(env_spec),
      observer(env_spec.picture),
      observation_size(size_of_one(env_spec, observer)) {}

template <class T>
GameEnv<T>::GameEnv(std::shared_ptr<const Cartridge> cartridge, const EnvPlan& plan,
                    std::uint8_t* stack)
    : plan_(plan),
      machine_(std::move(cartridge)),
      parts_(plan.spec.reward.terms.size()),
      frame_parts_(parts_.size()),
      outcome_{},
      stack_(stack) {}

template <class T>
void GameEnv<T>::observe(std::uint8_t* out) {
  switch (plan_.spec.observes) {
    case Observes::kPicture:
      return plan_.observer.observe(machine_.picture(), out);
    case Observes::kRam:
      std::memcpy(out, machine_.ram(), kRamSize);
      return;
    case Observes::kTiles:
      return read_tiles(machine_.ram(), out, plan_.spec.show_buttons, plan_.spec.show_level);
  }
}

template <class T>
void GameEnv<T>::copy_stack(std::uint8_t* out) const {
  const int count = plan_.spec.frame_stack;
  for (int age = count; age-- > 0; out += size()) {
    const int slot = (progress_.newest + count - age) % count;
    std::memcpy(out, stack_ + static_cast<std::size_t>(slot) * size(), size());
  }
}

template <class T>
int GameEnv<T>::reset(const Start& start, int noops, History& history) {
  machine_.load(start.machine);
  progress_.level = start.level;
  progress_.frames = 0;
  const GameState state = read_state(machine_.ram());
  progress_.now = {state.world, state.stage};
  progress_.flag_seen = false;
  progress_.stages_cleared = 0;
  outcome_ = Outcome{};
  outcome_.state = state;
  outcome_.cause = death_cause(state);
  outcome_.died = state.dying || state.dead;
  outcome_.flag_get = state.flag_get;
  reward_.start(plan_.spec.reward, state);
  std::fill(parts_.begin(), parts_.end(), 0.0);
  history.add(state);
  const bool draws = plan_.spec.observes == Observes::kPicture;
  for (int left = noops; left-- > 0;) {
    std::fill(parts_.begin(), parts_.end(), 0.0);
    outcome_ = Outcome{};
    if (play_frame(0, left == 0 && draws, history)) return left;
  }
  outcome_.reward = 0;
  observe(stack_);
  for (int slot = 1; slot < plan_.spec.frame_stack; ++slot) {
    std::memcpy(stack_ + static_cast<std::size_t>(slot) * size(), stack_, size());
  }
  progress_.furthest = place();
  progress_.best_x = outcome_.state.x_pos;
  progress_.stalled = progress_.elapsed = 0;
  return -1;
}

template <class T>
bool GameEnv<T>::play_frame(std::uint8_t buttons, bool draw, History& history) {
  machine_.step(buttons, 1, draw);
  ++progress_.frames;
  const GameState state = read_state(machine_.ram());
  outcome_.reward += reward_.frame(plan_.spec.reward, state, frame_parts_.data());
  for (std::size_t i = 0; i < parts_.size(); ++i) parts_[i] += frame_parts_[i];
  history.add(state);

  const bool died = state.dying || state.dead;
  outcome_.state = state;
  outcome_.frame = progress_.frames;
  outcome_.flag_get |= state.flag_get != 0;
  outcome_.died |= died;
  if (died) outcome_.cause = death_cause(state);
  if (state.flag_get && !progress_.flag_seen) {
    progress_.flag_seen = true;
    ++progress_.stages_cleared;
  }
  outcome_.stages_cleared = progress_.stages_cleared;
  const EnvSpec& spec = plan_.spec;
  outcome_.ending = ending_of(state, progress_.level, spec.last_world, spec.end_on_exit);
  outcome_.terminated = outcome_.ending != Ending::kNone;
  if (outcome_.terminated) return true;

  take_control();
  if (progress_.level.is_full_game()) {
    // A new stage, or a new life, begins the count of frames anew.
    const GameState after = read_state(machine_.ram());
    const Stage now{after.world, after.stage};
    if (now != progress_.now) {
      progress_.now = now;
      progress_.flag_seen = false;
      progress_.frames = 0;
    } else if (died) {
      progress_.frames = 0;
    }
  }
  return false;
}

template <class T>
void GameEnv<T>::take_control() {
  const auto frame = [this] {
    machine_.step(0);
    ++progress_.frames;
  };
  if (!skip_to_control(machine_.ram(), !progress_.level.is_full_game(), frame)) throw GameStuck{};
}

template <class T>
void GameEnv<T>::step(const Press& press, std::uint8_t* scratch, History& history) {
  const EnvSpec& spec = plan_.spec;
  const bool pool = spec.max_pool && spec.frame_skip > 1;
  const int first_drawn = pool ? spec.frame_skip - 2 : spec.frame_skip - 1;
  outcome_ = Outcome{};
  std::fill(parts_.begin(), parts_.end(), 0.0);
  const bool draws = spec.observes == Observes::kPicture;
  int played = 0;
  bool over = false;
  while (!over && played < spec.frame_skip) {
    if (pool && played == spec.frame_skip - 1) observe(scratch);  // the one before the last
    const std::uint8_t buttons = played < press.late ? press.before : press.buttons;
    over = play_frame(buttons, draws && played >= first_drawn, history);
    ++played;
  }
  progress_.newest = (progress_.newest + 1) % spec.frame_stack;
  observe(newest());
  if (pool && played == spec.frame_skip) {
    std::transform(scratch, scratch + size(), newest(), newest(),
                   [](std::uint8_t a, std::uint8_t b) { return std::max(a, b); });
  }
  apply_limits();
}

template <class T>
void GameEnv<T>::apply_limits() {
  const EnvSpec& spec = plan_.spec;
  const Progress::Place here = place();
  if (here != progress_.furthest || outcome_.state.x_pos > progress_.best_x) {
    progress_.furthest = here;
    progress_.best_x = outcome_.state.x_pos;
    progress_.stalled = 0;
  } else {
    ++progress_.stalled;
  }
  ++progress_.elapsed;
  const bool stalled =
      spec.stall_limit > 0 && progress_.stalled >= spec.stall_limit && !outcome_.terminated;
  if (stalled) outcome_.reward += RewardState::stall(spec.reward, parts_.data());
  outcome_.truncated = stalled;
  outcome_.truncated |= spec.max_episode_steps > 0 && progress_.elapsed >= spec.max_episode_steps;
}

template <class T>
void GameEnv<T>::save(SavedEnv& out) const {
  out.machine = machine_.save();
  out.progress = progress_;
  out.reward = reward_;
  out.stack.assign(stack_, stack_ + stack_size());
}

template <class T>
void GameEnv<T>::load(const SavedEnv& saved) {
  machine_.load(saved.machine);
  progress_ = saved.progress;
  reward_ = saved.reward;
  std::copy(saved.stack.begin(), saved.stack.end(), stack_);
}

template <class T>
void GameEnv<T>::show(const std::uint8_t* stack) {
  progress_.newest = plan_.spec.frame_stack - 1;
  std::memcpy(stack_, stack, stack_size());
}

template class GameEnv<ConsoleTiming>;
template class GameEnv<NesPyTiming>;

}  // namespace mario
