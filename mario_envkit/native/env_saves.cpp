#include "env_saves.hpp"

namespace mario {

void write_progress(const Progress& progress, std::int64_t* out) {
  const Progress::Place& furthest = progress.furthest;
  const std::array<std::int64_t, kProgressFields> fields{
      progress.level.world,
      progress.level.stage,
      progress.frames,
      progress.now.world,
      progress.now.stage,
      progress.flag_seen,
      progress.stages_cleared,
      furthest.world,
      furthest.stage,
      furthest.area,
      progress.best_x,
      progress.stalled,
      progress.elapsed,
  };
  for (const std::int64_t field : fields) *out++ = field;
}

void read_progress(const std::int64_t* in, Progress& out) {
  out = Progress{};
  Progress::Place& furthest = out.furthest;
  for (std::int64_t* field : {&out.level.world, &out.level.stage, &out.frames, &out.now.world,
                              &out.now.stage}) {
    *field = *in++;
  }
  out.flag_seen = *in++ != 0;
  for (std::int64_t* field : {&out.stages_cleared, &furthest.world, &furthest.stage,
                              &furthest.area, &out.best_x, &out.stalled, &out.elapsed}) {
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
