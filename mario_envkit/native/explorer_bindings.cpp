// The explorer for Python. Thin: checks and errors live in mario_envkit/curriculum/.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "pool_bindings.hpp"
#include "shared.hpp"

namespace nb = nanobind;

namespace mario {

namespace {

template <class Value>
using Array = nb::ndarray<Value, nb::c_contig, nb::device::cpu>;

// An explorer, and the arrays that it writes.
class BoundExplorer {
 public:
  BoundExplorer(const std::string& core, std::shared_ptr<const Cartridge> cartridge,
                const nb::bytes& start, std::vector<int> addresses, Array<std::int64_t> states,
                Array<std::uint8_t> bytes, Array<std::int32_t> frames)
      : states_(std::move(states)), bytes_(std::move(bytes)), frames_(std::move(frames)) {
    if (states_.size() != frames_.size() * kStateFields ||
        bytes_.size() != frames_.size() * addresses.size()) {
      throw std::invalid_argument("wrong size: states or bytes");
    }
    Saved saved;
    const auto* data = reinterpret_cast<const std::uint8_t*>(start.c_str());
    const std::string problem = deserialize(data, start.size(), saved);
    if (!problem.empty()) throw std::invalid_argument(problem);
    explorer_ = std::make_unique<SharedExplorer>(
        Explorer::make(core, std::move(cartridge), saved, std::move(addresses)));
  }

  int explore(int from, const Array<std::int32_t>& holds) {
    const std::size_t count = holds.size() / 2;
    if (holds.size() != 2 * count || count > frames_.size()) {
      throw std::invalid_argument("wrong size: holds");
    }
    const Log log{reinterpret_cast<GameState*>(states_.data()), bytes_.data(), frames_.data()};
    const nb::gil_scoped_release release;
    return explorer_->explore(from, holds.data(), count, log);
  }

  int ending() { return static_cast<int>(explorer_->ending()); }
  int keep(int row) { return explorer_->keep(row); }
  void forget(int number) { explorer_->forget(number); }

 private:
  Array<std::int64_t> states_;
  Array<std::uint8_t> bytes_;
  Array<std::int32_t> frames_;
  std::unique_ptr<SharedExplorer> explorer_;
};

}  // namespace

void bind_explorer(nb::module_& module) {
  using NoGil = nb::call_guard<nb::gil_scoped_release>;
  nb::class_<BoundExplorer>(module, "Explorer")
      .def(nb::init<const std::string&, std::shared_ptr<const Cartridge>, const nb::bytes&,
                    std::vector<int>, Array<std::int64_t>, Array<std::uint8_t>,
                    Array<std::int32_t>>(),
           nb::kw_only(), nb::arg("core"), nb::arg("cartridge"), nb::arg("start"),
           nb::arg("addresses"), nb::arg("states").noconvert(), nb::arg("bytes").noconvert(),
           nb::arg("frames").noconvert())
      .def("explore", &BoundExplorer::explore, nb::arg("start"), nb::arg("holds").noconvert())
      .def_prop_ro("ending", &BoundExplorer::ending, NoGil())
      .def("keep", &BoundExplorer::keep, nb::arg("row"), NoGil())
      .def("forget", &BoundExplorer::forget, nb::arg("number"), NoGil());
  module.attr("RUNNING") = static_cast<int>(SearchEnd::kRunning);
  module.attr("WON") = static_cast<int>(SearchEnd::kWon);
}

}  // namespace mario
