// The part of the SCAMP-5d kit's public interface that an exported program uses, for tests: it
// prints what the program asks of the array, and at what time on its clock.
//
// Kernel statements are printed as the kit writes them. A scan takes 0.4375 us an element, a look
// at the clock 1 us. The host's picture is read from the working folder.

#pragma once

#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

struct aref_t {
    const char* name;
};
struct areg_t : aref_t {};
struct dref_t {
    const char* name;
};
struct dreg_t : dref_t {};

#define AREG areg_t const&
#define ASRC aref_t const&
#define DREG dreg_t const&
#define DSRC dref_t const&

namespace SCAMP5_PE {
const areg_t A{{"A"}}, B{{"B"}};
const dreg_t R1{{"R1"}}, R2{{"R2"}}, R5{{"R5"}}, R6{{"R6"}}, R7{{"R7"}}, R8{{"R8"}}, R9{{"R9"}},
    R10{{"R10"}}, R11{{"R11"}};
}  // namespace SCAMP5_PE

inline double stub_usec = 0;
inline double stub_reset_usec = 0;

template <typename... Registers>
void stub_print(const char* name, Registers const&... registers) {
    std::string arguments;
    ((arguments += (arguments.empty() ? "" : ", "), arguments += registers.name), ...);
    std::printf("%.0f %s(%s);\n", stub_usec - stub_reset_usec, name, arguments.c_str());
}

namespace scamp5_kernel_api {
inline void respix(AREG y) { stub_print("respix", y); }
inline void getpix(AREG y, AREG pix_res) { stub_print("getpix", y, pix_res); }
inline void add(AREG y, ASRC x0, ASRC x1) { stub_print("add", y, x0, x1); }
inline void all() { stub_print("all"); }
inline void CLR(DREG d) { stub_print("CLR", d); }
inline void REFRESH(DREG d) { stub_print("REFRESH", d); }
inline void WHERE(DSRC d) { stub_print("WHERE", d); }
inline void WHERE(DSRC d0, DSRC d1) { stub_print("WHERE", d0, d1); }
inline void WHERE(DSRC d0, DSRC d1, DSRC d2) { stub_print("WHERE", d0, d1, d2); }
inline void OR(DREG d, DSRC d0, DSRC d1, DSRC d2, DSRC d3) { stub_print("OR", d, d0, d1, d2, d3); }
}  // namespace scamp5_kernel_api

#define scamp5_kernel_begin() \
    {                         \
        using namespace scamp5_kernel_api;
#define scamp5_kernel_end() }
#define scamp5_dynamic_kernel_begin() scamp5_kernel_begin()
#define scamp5_dynamic_kernel_end() scamp5_kernel_end()

class vs_stopwatch {
   public:
    void reset() { stub_reset_usec = stub_usec; }
    uint32_t get_usec() const { return (uint32_t)(stub_usec++ - stub_reset_usec); }
};

class vs_dotmat {
   public:
    std::vector<uint8_t> bits = std::vector<uint8_t>(256 * 256 / 8);
    void* get_buffer(size_t* = nullptr) const { return (void*)bits.data(); }
};

#define VS_M0_PROJECT_INFO_STRING "stub"

inline void vs_init() {}
inline void vs_gui_set_info(const char*) {}
inline void vs_disable_frame_trigger() {}
inline void vs_process_message() {}
inline bool vs_gui_request_done() { return true; }

// Sends the planes of a bottom-up 24-bit picture, the highest bit first.
inline int vs_gui_request_image(const char* path, int bits,
                                std::function<void(vs_dotmat const&, int)> deliver,
                                uint32_t = 1000) {
    std::vector<uint8_t> file(54 + 256 * 256 * 3);
    std::FILE* opened = std::fopen(path, "rb");
    if (opened == nullptr || std::fread(file.data(), 1, file.size(), opened) != file.size()) {
        std::exit(2);
    }
    std::fclose(opened);
    for (int plane = 0; plane < bits; plane++) {
        vs_dotmat sent;
        for (int y = 0; y < 256; y++) {
            for (int x = 0; x < 256; x++) {
                const int grey = file[54 + ((255 - y) * 256 + x) * 3];
                sent.bits[y * 32 + x / 8] |= (grey >> (7 - plane) & 1) << (x % 8);
            }
        }
        deliver(sent, plane);
    }
    return 0;
}

inline void scamp5_draw_begin(DREG dr) { stub_print("draw", dr); }
inline void scamp5_draw_end() {}
inline void scamp5_draw_pixel(uint8_t r, uint8_t c) { std::printf("pixel %d %d\n", r, c); }

inline void scamp5_scan_areg(ASRC areg, uint8_t* buffer, uint8_t r0, uint8_t c0, uint8_t r1,
                             uint8_t c1, uint8_t rs, uint8_t cs) {
    const int count = ((r1 - r0) / rs + 1) * ((c1 - c0) / cs + 1);
    std::printf("scan %s %d %d %d %d %d %d\n", areg.name, r0, c0, r1, c1, rs, cs);
    for (int i = 0; i < count; i++) {
        buffer[i] = 0;
    }
    stub_usec += count * 0.4375;
}

inline void vs_post_set_channel(uint32_t channel) { std::printf("channel %u\n", channel); }
inline void vs_post_int8(const int8_t*, size_t rows, size_t columns) {
    std::printf("post %zu %zu\n", rows, columns);
}
inline void vs_post_text(const char* format, ...) {
    std::printf("text ");
    va_list arguments;
    va_start(arguments, format);
    std::vprintf(format, arguments);
    va_end(arguments);
}

// Two windows are enough to see.
inline void vs_loop_counter_inc() {
    static int loops = 0;
    if (++loops == 2) {
        std::exit(0);
    }
}
