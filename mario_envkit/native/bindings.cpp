// The Python module mario_envkit._native. Thin: checks and errors live in mario_envkit/emulator/.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include "observation.hpp"
#include "pool_bindings.hpp"
#include "shared.hpp"

namespace nb = nanobind;
using namespace mario;

namespace {

using Bytes = nb::ndarray<std::uint8_t, nb::c_contig, nb::device::cpu>;
using Ram = nb::ndarray<nb::numpy, std::uint8_t, nb::shape<kRamSize>>;

const std::uint8_t* data_of(const nb::bytes& bytes) {
  return reinterpret_cast<const std::uint8_t*>(bytes.c_str());
}

ObservationSpec make_spec(int height, int width, int crop_top, const std::string& grey,
                          const std::vector<int>& table) {
  ObservationSpec spec;
  spec.height = height;
  spec.width = width;
  spec.crop_top = crop_top;
  if (grey == "none") {
    spec.grey = Grey::kNone;
  } else if (grey == "luma") {
    spec.grey = Grey::kLuma;
  } else if (grey == "contrast") {
    spec.grey = Grey::kContrast;
  } else if (grey == "table" && table.size() == spec.table.size()) {
    spec.grey = Grey::kTable;
    std::transform(table.begin(), table.end(), spec.table.begin(),
                   [](int value) { return static_cast<std::uint8_t>(value); });
  } else {
    throw std::invalid_argument("grey must be none, luma, contrast or a table of 32 values");
  }
  return spec;
}

// Takes a mutex with the GIL held, which is let go of only while another thread has the mutex.
std::unique_lock<std::mutex> take_with_gil(std::mutex& mutex) {
  std::unique_lock<std::mutex> lock(mutex, std::try_to_lock);
  if (!lock) {
    const nb::gil_scoped_release release;
    lock.lock();
  }
  return lock;
}

template <class Timing>
void bind_machine(nb::module_& module, const char* name) {
  using M = SharedMachine<Timing>;
  using NoGil = nb::call_guard<nb::gil_scoped_release>;
  nb::class_<M>(module, name)
      .def(nb::init<std::shared_ptr<const Cartridge>>(), nb::arg("cartridge"))
      .def_prop_ro_static("core", [](nb::handle) { return Timing::kCore; })
      .def("power_on", &M::power_on, NoGil())
      .def("step", &M::step, nb::arg("buttons"), nb::arg("frames") = 1, nb::arg("draw") = false,
           NoGil())
      .def("set_second_joypad", &M::set_second_joypad, nb::arg("buttons"), NoGil())
      .def("ram",
           [](nb::handle self) {
             return Ram(nb::cast<M&>(self).ram(), {kRamSize}, self);  // the array owns a reference
           },
           nb::rv_policy::reference)
      .def("save",
           [](const M& machine) {
             auto bytes = nb::steal<nb::bytes>(
                 PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(serialized_size())));
             if (!bytes.is_valid()) nb::raise_python_error();
             machine.save(reinterpret_cast<std::uint8_t*>(PyBytes_AsString(bytes.ptr())),
                          take_with_gil);
             return bytes;
           })
      .def("load",
           [](M& machine, const nb::bytes& bytes) {
             return machine.load(data_of(bytes), bytes.size(), take_with_gil);
           },
           nb::arg("data"))
      .def("observe",
           [](M& machine, const Observer& observer, const Bytes& out) {
             if (out.nbytes() != observer.size()) {
               throw std::invalid_argument("the array does not have the observation's size");
             }
             const nb::gil_scoped_release release;
             machine.observe(observer, out.data());
           },
           nb::arg("observer"), nb::arg("out").noconvert());
}

}  // namespace

NB_MODULE(_native, module) {
  nb::class_<Cartridge>(module, "Cartridge")
      .def_static("parse",
                  [](const nb::bytes& image) {
                    return std::const_pointer_cast<Cartridge>(
                        Cartridge::parse(data_of(image), image.size()));
                  },
                  nb::arg("image"));
  nb::class_<Observer>(module, "Observer")
      .def("__init__",
           [](Observer* self, int height, int width, int crop_top, const std::string& grey,
              const std::vector<int>& table) {
             new (self) Observer(make_spec(height, width, crop_top, grey, table));
           },
           nb::arg("height"), nb::arg("width"), nb::arg("crop_top"), nb::arg("grey"),
           nb::arg("table"))
      .def_prop_ro("size", &Observer::size);
  bind_machine<ConsoleTiming>(module, "ConsoleMachine");
  bind_machine<NesPyTiming>(module, "NesPyMachine");
  bind_pool(module);
  bind_explorer(module);
}
