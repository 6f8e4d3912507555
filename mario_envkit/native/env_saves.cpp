#include "env_saves.hpp"

namespace mario {

void write_progress(const Progress& progress, std::int64_t* out) {
  const Progress::Place& furthest = progress.furthest;
  const std::array<std::int64_t, kProgressFields> fields{
      progress.single_stage, progress.frames, progress.world,  progress.stage,  furthest.world,
      furthest.stage,        furthest.area,   progress.best_x, progress.stalled};
  for (const std::int64_t field : fields) *out++ = field;
}

void read_progress(const std::int64_t* in, Progress& out) {
  out = Progress{};
  out.single_stage = *in++ != 0;
  Progress::Place& furthest = out.furthest;
  for (std::int64_t* field : {&out.frames, &out.world, &out.stage, &furthest.world, &furthest.stage,
                              &furthest.area, &out.best_x, &out.stalled}) {
    *field = *in++;
  }
}

void write_memory(const RewardState& reward, std::int64_t* out) {
  for (const RewardState::Memory& memory : reward.memory()) {
    for (const std::int64_t value : memory) *out++ = value;
  }
}

void read_memory(const std::int64_t* in, std::size_t terms, RewardState& out) {
  out.memory().resize(terms);
  for (RewardState::Memory& memory : out.memory()) {
    for (std::int64_t& value : memory) value = *in++;
  }
}

}  // namespace mario
