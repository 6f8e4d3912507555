// The pool of environments for Python. Thin: checks and errors live in mario_envkit/vector.py.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <cstring>
#include <initializer_list>
#include <memory>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "env_pool.hpp"
#include "env_saves.hpp"
#include "pool_bindings.hpp"
#include "shared.hpp"
#include "tiles.hpp"

namespace nb = nanobind;

namespace mario {

namespace {

template <class Value>
using Array = nb::ndarray<Value, nb::c_contig, nb::device::cpu>;

// Kind, amount, option, places with what is left from there.
using Term = std::tuple<int, double, bool, std::vector<std::pair<std::int64_t, std::int64_t>>>;

const std::uint8_t* data_of(const nb::bytes& bytes) {
  return reinterpret_cast<const std::uint8_t*>(bytes.c_str());
}

void require(bool fits, const char* what) {
  if (!fits) throw std::invalid_argument(std::string("wrong size: ") + what);
}

RewardSpec make_reward(const std::vector<Term>& terms, double scale, bool clipped, double low,
                       double high) {
  RewardSpec spec;
  for (const auto& [kind, amount, option, places] : terms) {
    require(kind >= 0 && kind < kTermKinds, "kind of reward term");
    spec.terms.push_back({static_cast<TermKind>(kind), amount, option,
                          std::make_shared<const Places>(places.begin(), places.end())});
  }
  spec.scale = scale;
  spec.clipped = clipped;
  spec.low = low;
  spec.high = high;
  return spec;
}

// A pool, and the arrays that it reads and writes.
class Pool {
 public:
  Pool(const std::string& core, std::shared_ptr<const Cartridge> cartridge, const EnvSpec& spec,
       int num_threads, Array<std::int32_t> orders, Array<std::int64_t> ints,
       Array<std::uint8_t> flags, Array<double> doubles, Array<std::int64_t> history,
       Array<std::int32_t> history_used)
      : orders_(std::move(orders)),
        ints_(std::move(ints)),
        flags_(std::move(flags)),
        doubles_(std::move(doubles)),
        history_(std::move(history)),
        history_used_(std::move(history_used)) {
    const std::size_t envs = orders_.size() / 2;
    require(orders_.size() == 2 * envs && envs > 0, "orders");
    require(ints_.size() == envs * kIntRows, "ints");
    require(flags_.size() == envs * kFlagRows, "flags");
    require(doubles_.size() >= envs * (1 + spec.reward.terms.size()), "doubles");
    PoolBuffers buffers;
    static_assert(sizeof(Order) == 2 * sizeof(std::int32_t), "a row of a matrix");
    buffers.orders = reinterpret_cast<Order*>(orders_.data());
    buffers.ints = ints_.data();
    buffers.flags = flags_.data();
    buffers.doubles = doubles_.data();
    const std::size_t rows = history_.size() / (envs * kStateFields);
    require(history_.size() == rows * envs * kStateFields, "history");
    if (rows) {
      require(history_used_.size() == envs, "history_used");
      buffers.history = reinterpret_cast<GameState*>(history_.data());
      buffers.history_used = history_used_.data();
      buffers.history_rows = static_cast<int>(rows);
    }
    pool_ = std::make_unique<SharedPool>(EnvPool::make(
        core, std::move(cartridge), spec, static_cast<int>(envs), num_threads, buffers));
  }

  int add_start(const nb::bytes& machine, std::int64_t world, std::int64_t stage) {
    Start start;
    const std::string problem = deserialize(data_of(machine), machine.size(), start.machine);
    if (!problem.empty()) throw std::invalid_argument(problem);
    start.level = {world, stage};
    const nb::gil_scoped_release release;
    return pool_->add_start(start);
  }

  void set_reward(const std::vector<Term>& terms, double scale, bool clipped, double low,
                  double high) {
    const RewardSpec reward = make_reward(terms, scale, clipped, low, high);
    const nb::gil_scoped_release release;
    pool_->set_reward(reward);
  }

  void start(const Array<std::uint8_t>& observations) {
    check(observations);
    {
      const nb::gil_scoped_release release;
      pool_->start(observations.data());
    }
    observations_ = observations;  // kept until it is written
  }

  int wait() {
    int troubled = 0;
    {
      const nb::gil_scoped_release release;
      troubled = pool_->wait();
    }
    observations_ = {};
    return troubled;
  }

  int run(const Array<std::uint8_t>& observations) {
    check(observations);
    const nb::gil_scoped_release release;
    return pool_->run(observations.data());
  }

  void screen(int env, const Array<std::uint8_t>& out) {
    check_env(env);
    require(out.nbytes() == kHeight * kWidth * 3, "screen");
    const nb::gil_scoped_release release;
    pool_->screen(env, out.data());
  }

  void watch(Array<std::int64_t> low, Array<std::uint64_t> width, Array<std::uint8_t> outside) {
    require(low.size() == ints_.size() && width.size() == ints_.size(), "ranges");
    require(outside.size() == static_cast<std::size_t>(pool_->num_envs()), "outside");
    const Ranges ranges{low.data(), width.data(), outside.data()};
    {
      const nb::gil_scoped_release release;
      pool_->watch(ranges);
    }
    low_ = std::move(low);
    width_ = std::move(width);
    outside_ = std::move(outside);
  }

  nb::bytes save(int env, const Array<std::int64_t>& progress, const Array<std::int64_t>& memory,
                 const Array<std::uint8_t>& stack) {
    check_saves(env, progress, memory);
    require(stack.nbytes() == pool_->observation_bytes(), "observation");
    std::vector<std::uint8_t> machine;
    {
      const nb::gil_scoped_release release;
      machine = pool_->save(env, progress.data(), memory.data(), stack.data());
    }
    return nb::bytes(machine.data(), machine.size());
  }

  std::string load(int env, const nb::bytes& machine, const Array<std::int64_t>& progress,
                   const Array<std::int64_t>& memory) {
    check_saves(env, progress, memory);
    const std::uint8_t* bytes = data_of(machine);
    const std::size_t size = machine.size();
    const nb::gil_scoped_release release;
    return pool_->load(env, bytes, size, progress.data(), memory.data());
  }

  void show(int env, const Array<std::uint8_t>& stack) {
    check_env(env);
    require(stack.nbytes() == pool_->observation_bytes(), "observation");
    const nb::gil_scoped_release release;
    pool_->show(env, stack.data());
  }

  void ram(int env, const Array<std::uint8_t>& out) {
    check_env(env);
    require(out.nbytes() == kRamSize, "RAM");
    const nb::gil_scoped_release release;
    pool_->ram(env, out.data());
  }

 private:
  void check_env(int env) const {
    require(env >= 0 && env < pool_->num_envs(), "environment");
  }

  void check_saves(int env, const Array<std::int64_t>& progress,
                   const Array<std::int64_t>& memory) const {
    check_env(env);
    require(progress.size() == kProgressFields, "progress");
    require(memory.size() == kMemoryFields * pool_->reward_terms(), "memory");
  }

  void check(const Array<std::uint8_t>& observations) const {
    const auto envs = static_cast<std::size_t>(pool_->num_envs());
    require(observations.nbytes() == envs * pool_->observation_bytes(), "observations");
  }

  Array<std::int32_t> orders_;
  Array<std::int64_t> ints_;
  Array<std::uint8_t> flags_;
  Array<double> doubles_;
  Array<std::int64_t> history_;
  Array<std::int32_t> history_used_;
  Array<std::uint8_t> observations_;
  Array<std::int64_t> low_;
  Array<std::uint64_t> width_;
  Array<std::uint8_t> outside_;
  std::unique_ptr<SharedPool> pool_;
};

void copy_state(const Array<std::uint8_t>& ram, const Array<std::int64_t>& out) {
  require(ram.nbytes() == kRamSize && out.size() == kStateFields, "RAM or state");
  const GameState state = read_state(ram.data());
  std::memcpy(out.data(), &state, sizeof state);
}

void copy_tiles(const Array<std::uint8_t>& ram, const Array<std::uint8_t>& out,
                bool show_buttons, bool show_level) {
  require(ram.nbytes() == kRamSize && out.nbytes() == kTilePictureSize, "RAM or tiles");
  read_tiles(ram.data(), out.data(), show_buttons, show_level);
}

void bind_spec(nb::module_& module) {
  nb::enum_<Observes>(module, "Observes")
      .value("pixels", Observes::kPicture)
      .value("ram", Observes::kRam)
      .value("tiles", Observes::kTiles);
  nb::class_<EnvSpec>(module, "EnvSpec")
      .def(nb::init<>())
      .def_rw("frame_skip", &EnvSpec::frame_skip)
      .def_rw("max_pool", &EnvSpec::max_pool)
      .def_rw("observes", &EnvSpec::observes)
      .def_rw("show_buttons", &EnvSpec::show_buttons)
      .def_rw("show_level", &EnvSpec::show_level)
      .def_rw("frame_stack", &EnvSpec::frame_stack)
      .def_rw("stall_limit", &EnvSpec::stall_limit)
      .def_rw("max_episode_steps", &EnvSpec::max_episode_steps)
      .def_rw("last_world", &EnvSpec::last_world)
      .def_rw("end_on_exit", &EnvSpec::end_on_exit)
      .def("set_picture",
           [](EnvSpec& spec, const Observer& observer) { spec.picture = observer.spec(); },
           nb::arg("observer"))
      .def("set_reward",
           [](EnvSpec& spec, const std::vector<Term>& terms, double scale, bool clipped,
              double low, double high) {
             spec.reward = make_reward(terms, scale, clipped, low, high);
           },
           nb::arg("terms"), nb::arg("scale"), nb::arg("clipped"), nb::arg("low"),
           nb::arg("high"));
}

struct Numbered {
  const char* name;
  int number;
};

nb::dict numbers(std::initializer_list<Numbered> entries) {
  nb::dict found;
  for (const Numbered& entry : entries) found[entry.name] = entry.number;
  return found;
}

// What Python has in tables of its own, by the names that it has there: the tests compare both.
nb::dict orders() {
  nb::dict found;
  found["ints"] = numbers(
      {{"coins", kCoinsRow}, {"life", kLifeRow}, {"score", kScoreRow}, {"stage", kStageRow},
       {"time", kTimeRow}, {"world", kWorldRow}, {"x_pos", kXRow}, {"y_pos", kYRow},
       {"area", kAreaRow}, {"frame", kFrameRow}, {"stages_cleared", kStagesClearedRow},
       {"status", kStatusRow}, {"death_cause", kCauseRow}, {"ending", kEndingRow},
       {"trouble", kTroubleRow}, {"", kIntRows}});
  found["flags"] = numbers({{"terminated", kTerminatedRow}, {"truncated", kTruncatedRow},
                            {"flag_get", kFlagGetRow}, {"died", kDiedRow}, {"", kFlagRows}});
  const auto ending = [](const char* name, Ending value) {
    return Numbered{name, static_cast<int>(value)};
  };
  found["endings"] = numbers(
      {ending("", Ending::kNone), ending("enemy", Ending::kEnemy), ending("pit", Ending::kPit),
       ending("clock", Ending::kClock), ending("flag", Ending::kFlag),
       ending("warp", Ending::kWarp)});
  const auto cause = [](const char* name, DeathCause value) {
    return Numbered{name, static_cast<int>(value)};
  };
  found["death_causes"] = numbers(
      {cause("", DeathCause::kNone), cause("enemy", DeathCause::kEnemy),
       cause("pit", DeathCause::kPit), cause("clock", DeathCause::kClock)});
  const auto term = [](const char* name, TermKind kind) {
    return Numbered{name, static_cast<int>(kind)};
  };
  found["terms"] = numbers(
      {term("Distance", TermKind::kDistance), term("Progress", TermKind::kProgress),
       term("Clock", TermKind::kClock), term("Death", TermKind::kDeath),
       term("Flag", TermKind::kFlag), term("Score", TermKind::kScore),
       term("Coins", TermKind::kCoins), term("PowerUp", TermKind::kPowerUp),
       term("Warp", TermKind::kWarp), term("Stall", TermKind::kStall),
       term("PathProgress", TermKind::kPath), {"", kTermKinds}});
  return found;
}

}  // namespace

void bind_pool(nb::module_& module) {
  bind_spec(module);
  nb::class_<Pool>(module, "EnvPool")
      .def(nb::init<const std::string&, std::shared_ptr<const Cartridge>, const EnvSpec&, int,
                    Array<std::int32_t>, Array<std::int64_t>, Array<std::uint8_t>, Array<double>,
                    Array<std::int64_t>, Array<std::int32_t>>(),
           nb::kw_only(), nb::arg("core"), nb::arg("cartridge"), nb::arg("spec"),
           nb::arg("num_threads"), nb::arg("orders").noconvert(), nb::arg("ints").noconvert(),
           nb::arg("flags").noconvert(), nb::arg("doubles").noconvert(),
           nb::arg("history").noconvert(), nb::arg("history_used").noconvert())
      .def("add_start", &Pool::add_start, nb::arg("machine"), nb::arg("world"),
           nb::arg("stage"))
      .def("set_reward", &Pool::set_reward, nb::arg("terms"), nb::arg("scale"),
           nb::arg("clipped"), nb::arg("low"), nb::arg("high"))
      .def("start", &Pool::start, nb::arg("observations").noconvert())
      .def("wait", &Pool::wait)
      .def("run", &Pool::run, nb::arg("observations").noconvert())
      .def("screen", &Pool::screen, nb::arg("env"), nb::arg("out").noconvert())
      .def("watch", &Pool::watch, nb::arg("low").noconvert(), nb::arg("width").noconvert(),
           nb::arg("outside").noconvert())
      .def("save", &Pool::save, nb::arg("env"), nb::arg("progress").noconvert(),
           nb::arg("memory").noconvert(), nb::arg("stack").noconvert())
      .def("load", &Pool::load, nb::arg("env"), nb::arg("machine"), nb::arg("progress"),
           nb::arg("memory"))
      .def("show", &Pool::show, nb::arg("env"), nb::arg("stack"))
      .def("ram", &Pool::ram, nb::arg("env"), nb::arg("out").noconvert());
  module.def("read_state", &copy_state, nb::arg("ram"), nb::arg("out").noconvert(),
             "Fills `out` (17 int64) with the GameState that 2,048 bytes of RAM describe.");
  module.def("read_tiles", &copy_tiles, nb::arg("ram"), nb::arg("out").noconvert(),
             nb::kw_only(), nb::arg("show_buttons"), nb::arg("show_level"),
             "Fills `out` (16 x 16 bytes) with the tiles that 2,048 bytes of RAM describe.");
  module.attr("ORDERS") = orders();
  module.attr("KEEP") = static_cast<int>(Order::kKeep);
  module.attr("SKIP") = static_cast<int>(Order::kSkip);
  module.attr("STEP") = static_cast<int>(Order::kStep);
}

}  // namespace mario
