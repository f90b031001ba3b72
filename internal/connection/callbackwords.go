package connection

import "strings"

// loginWords are what the page at the end of a login says beside the catalogue's
// words, in one language.
type loginWords struct {
	done, as string // as has {name}
	choose   string
	failed   string
	said     string
	close    string
}

// doneAs is the title of a login that somebody finished.
func (w loginWords) doneAs(name string) string { return strings.ReplaceAll(w.as, "{name}", name) }

// loginWordsIn are the words in a language, or the English ones.
func loginWordsIn(language string) loginWords {
	switch language {
	case "vi":
		return loginWords{
			done:   "Đã đăng nhập Facebook",
			as:     "Đã đăng nhập Facebook với tên {name}",
			choose: "Hãy quay lại cửa sổ lúc nãy để chọn trang cần kết nối.",
			failed: "Chưa đăng nhập được Facebook",
			said:   "Facebook trả lời:",
			close:  "Bạn có thể đóng cửa sổ này.",
		}
	case "ru":
		return loginWords{
			done:   "Вход через Facebook выполнен",
			as:     "Вход через Facebook выполнен: {name}",
			choose: "Вернитесь в окно, из которого вы пришли, и выберите страницы.",
			failed: "Войти через Facebook не удалось",
			said:   "Ответ Facebook:",
			close:  "Это окно можно закрыть.",
		}
	case "zh-Hant":
		return loginWords{
			done:   "已登入 Facebook",
			as:     "已使用 {name} 的帳號登入 Facebook",
			choose: "請回到先前的視窗，選擇要連結的粉絲專頁。",
			failed: "無法完成 Facebook 登入",
			said:   "Facebook 的回應：",
			close:  "您可以關閉這個視窗。",
		}
	case "zh-Hans":
		return loginWords{
			done:   "已登录 Facebook",
			as:     "已使用 {name} 的账号登录 Facebook",
			choose: "请回到之前的窗口，选择要连接的公共主页。",
			failed: "无法完成 Facebook 登录",
			said:   "Facebook 的回复：",
			close:  "您可以关闭此窗口。",
		}
	default:
		return loginWords{
			done:   "You are signed in to Facebook",
			as:     "You are signed in to Facebook as {name}",
			choose: "Go back to the window you came from to choose the pages.",
			failed: "Signing in with Facebook did not work",
			said:   "Facebook says:",
			close:  "You can close this window.",
		}
	}
}
