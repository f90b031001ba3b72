package mail

// words are what a notice says beside the problem, in one language. The exported ones
// are read by the templates.
type words struct {
	title    string // {connection}
	campaign string // {campaign}
	since    string // {time}
	clock    string // how a time is written: a layout of package time
	Language string
	Causes   string
	Steps    string
	Said     string
	Open     string
	Why      string
}

// wordsIn are the words in a language, or the English ones.
func wordsIn(language string) words {
	switch language {
	case "vi":
		return words{
			Language: "vi",
			title:    "“{connection}” cần được xử lý",
			campaign: "chiến dịch “{campaign}”",
			since:    "Từ {time}",
			clock:    "15:04 ngày 02/01/2006 (UTC)",
			Causes:   "Nguyên nhân có thể",
			Steps:    "Cách xử lý",
			Said:     "Nguyên văn phản hồi của nền tảng",
			Open:     "Mở kết nối",
			Why: "Bạn nhận được thư này vì bạn quản lý chiến dịch này hoặc quản trị máy chủ này. " +
				"Mỗi sự cố chỉ được báo một lần; hãy mở kết nối để xem tình trạng hiện tại.",
		}
	case "ru":
		return words{
			Language: "ru",
			title:    "«{connection}»: требуется внимание",
			campaign: "кампания «{campaign}»",
			since:    "С {time}",
			clock:    "02.01.2006, 15:04 UTC",
			Causes:   "Возможные причины",
			Steps:    "Что делать",
			Said:     "Ответ платформы дословно",
			Open:     "Открыть подключение",
			Why: "Вы получили это письмо, потому что управляете этой кампанией или администрируете этот сервер. " +
				"О каждом сбое приходит одно письмо; текущее состояние видно в самом подключении.",
		}
	case "zh-Hant":
		return words{
			Language: "zh-Hant",
			title:    "「{connection}」需要處理",
			campaign: "行銷活動「{campaign}」",
			since:    "開始時間：{time}",
			clock:    "2006年1月2日 15:04（UTC）",
			Causes:   "可能的原因",
			Steps:    "處理方式",
			Said:     "平台的原始訊息",
			Open:     "開啟這個連線",
			Why:      "您會收到這封信，是因為您管理這個行銷活動或這台伺服器。同一次故障只會寄一封信；目前的狀態請在連線中查看。",
		}
	case "zh-Hans":
		return words{
			Language: "zh-Hans",
			title:    "“{connection}”需要处理",
			campaign: "营销活动“{campaign}”",
			since:    "开始时间：{time}",
			clock:    "2006年1月2日 15:04（UTC）",
			Causes:   "可能的原因",
			Steps:    "处理方法",
			Said:     "平台的原始消息",
			Open:     "打开该连接",
			Why:      "您收到这封邮件，是因为您管理这个营销活动或这台服务器。同一次故障只会发送一封邮件；目前的状态请在连接中查看。",
		}
	default:
		return words{
			Language: "en",
			title:    "“{connection}” needs attention",
			campaign: "campaign “{campaign}”",
			since:    "Since {time}",
			clock:    "2 January 2006, 15:04 UTC",
			Causes:   "Likely causes",
			Steps:    "What to do",
			Said:     "The platform’s own words",
			Open:     "Open the connection",
			Why: "You get this because you manage this campaign or administer this server. " +
				"Each fault is reported once; open the connection to see how it is now.",
		}
	}
}
